#include "tools/render/tree_json.h"

#include "tools/render/emitter.h"

#include <string.h>

static void
emit_figure(struct vmt_emitter *emitter, const char *key, uint64_t bytes)
{
	if (bytes == VMT_FIGURE_UNKNOWN)
		vmt_emitter_string(emitter, key, NULL);
	else
		vmt_emitter_u64(emitter, key, bytes);
}

static const char *
origin_name(enum vmt_tree_origin origin)
{
	switch (origin) {
	case VMT_TREE_ROOT:
		return NULL;
	case VMT_TREE_FORK:
		return "fork";
	case VMT_TREE_EXEC:
		return "exec";
	case VMT_TREE_SPAWN:
		return "spawn";
	}
	return NULL;
}

static void
emit_figures(struct vmt_emitter *emitter, const struct vmt_tree_process *process)
{
	const struct vmt_tree_figures *at = &process->at;

	vmt_emitter_object(emitter, "at");
	vmt_emitter_i64(emitter, "time_ns", at->time_ns - process->start_ns);
	vmt_emitter_u64(emitter, "rss_bytes", at->rss_bytes);
	emit_figure(emitter, "private_bytes", at->private_bytes);
	emit_figure(emitter, "shared_bytes", at->shared_bytes);
	emit_figure(emitter, "proportional_bytes", at->proportional_bytes);
	vmt_emitter_u64(emitter, "swap_bytes", at->swap_bytes);
	vmt_emitter_object_end(emitter);
}

static void
emit_inherited(struct vmt_emitter *emitter, const struct vmt_tree *tree,
	       const struct vmt_tree_inherited *part)
{
	vmt_emitter_object(emitter, NULL);
	vmt_emitter_string(emitter, "from", tree->processes[part->from].name);
	vmt_emitter_string(emitter, "call", part->call);
	vmt_emitter_u64(emitter, "committed_bytes", part->committed_bytes);
	vmt_emitter_bool(emitter, "estimate", part->is_estimate);
	vmt_emitter_object_end(emitter);
}

static void
emit_process(struct vmt_emitter *emitter, const struct vmt_tree *tree,
	     const struct vmt_tree_process *process)
{
	bool is_child = process->parent != VMT_TREE_NONE;

	vmt_emitter_object(emitter, NULL);
	vmt_emitter_string(emitter, "name", process->name);
	vmt_emitter_u64(emitter, "pid", process->pid);
	vmt_emitter_u64(emitter, "parent_pid", process->parent_pid);
	vmt_emitter_string(emitter, "command", process->title);
	vmt_emitter_string(emitter, "exe", process->exe);
	vmt_emitter_u64(emitter, "start_unix_ns", process->start_unix_ns);
	emit_figure(emitter, "peak_rss_bytes",
		    process->peak_rss_bytes ? process->peak_rss_bytes : VMT_FIGURE_UNKNOWN);
	vmt_emitter_string(emitter, "end", process->end);
	vmt_emitter_string(emitter, "parent",
			   is_child ? tree->processes[process->parent].name : NULL);
	vmt_emitter_string(emitter, "origin", origin_name(process->origin));
	vmt_emitter_string(
	    emitter, "continued",
	    process->continued != VMT_TREE_NONE ? tree->processes[process->continued].name : NULL);
	vmt_emitter_u64(emitter, "tree", process->tree);
	vmt_emitter_u64(emitter, "group", process->group);
	vmt_emitter_bool(emitter, "there", process->is_there);
	if (process->has_snapshot)
		emit_figures(emitter, process);
	else
		vmt_emitter_string(emitter, "at", NULL);
	vmt_emitter_string(emitter, "owner", process->owner);
	vmt_emitter_array(emitter, "inherited");
	for (size_t i = 0; i < process->inherited_count; i++)
		emit_inherited(emitter, tree, &process->inherited[i]);
	vmt_emitter_array_end(emitter);
	vmt_emitter_object_end(emitter);
}

static void
emit_untraced(struct vmt_emitter *emitter, const struct vmt_tree_untraced *untraced)
{
	bool is_read = untraced->there > untraced->unread;

	vmt_emitter_object(emitter, "untraced");
	vmt_emitter_u64(emitter, "told", untraced->told);
	vmt_emitter_u64(emitter, "there", untraced->there);
	vmt_emitter_u64(emitter, "brief", untraced->brief);
	vmt_emitter_u64(emitter, "unread", untraced->unread);
	vmt_emitter_u64(emitter, "executed", untraced->executed);
	emit_figure(emitter, "private_bytes",
		    is_read ? untraced->private_bytes : VMT_FIGURE_UNKNOWN);
	emit_figure(emitter, "most_private_bytes",
		    is_read ? untraced->most_private_bytes : VMT_FIGURE_UNKNOWN);
	vmt_emitter_object_end(emitter);
}

static void
emit_family(struct vmt_emitter *emitter, const struct vmt_tree *tree,
	    const struct vmt_tree_family *family)
{
	const struct vmt_tree_process *root = &tree->processes[family->root];
	const struct vmt_tree_sum *sum = &family->sum;
	bool is_summed = family->there > family->unseen;

	vmt_emitter_object(emitter, NULL);
	vmt_emitter_string(emitter, "root", root->name);
	vmt_emitter_u64(emitter, "traces", family->traces);
	vmt_emitter_u64(emitter, "there", family->there);
	vmt_emitter_u64(emitter, "unseen", family->unseen);
	vmt_emitter_u64(emitter, "unread", family->unread);
	emit_untraced(emitter, &family->untraced);
	vmt_emitter_bool(emitter, "live", family->is_live);
	vmt_emitter_i64(emitter, "moment_ns", family->moment_ns - root->start_ns);
	vmt_emitter_i64(emitter, "skew_ns", family->skew_ns);
	vmt_emitter_u64(emitter, "moment_rss_bytes", family->moment_rss_bytes);
	vmt_emitter_u64(emitter, "rss_bytes", sum->rss_bytes);
	emit_figure(emitter, "private_bytes", is_summed ? sum->private_bytes : 0);
	emit_figure(emitter, "proportional_bytes", is_summed ? sum->proportional_bytes : 0);
	emit_figure(emitter, "once_bytes", is_summed ? sum->once_bytes : 0);
	emit_figure(emitter, "outside_bytes", is_summed ? sum->outside_bytes : 0);
	vmt_emitter_bool(emitter, "apart", sum->is_apart);
	vmt_emitter_bool(emitter, "estimate", sum->is_estimate);
	vmt_emitter_bool(emitter, "short", sum->is_short);
	vmt_emitter_bool(emitter, "least", sum->is_least);
	vmt_emitter_object_end(emitter);
}

static void
emit_group(struct vmt_emitter *emitter, const struct vmt_tree *tree,
	   const struct vmt_tree_group *group)
{
	bool has_all = group->known > 0 && group->known == group->there;

	vmt_emitter_object(emitter, NULL);
	vmt_emitter_string(emitter, "name", group->name);
	vmt_emitter_u64(emitter, "tree", group->tree);
	vmt_emitter_bool(emitter, "forked", group->is_forked);
	vmt_emitter_u64(emitter, "traces", group->traces);
	vmt_emitter_u64(emitter, "there", group->there);
	vmt_emitter_string(emitter, "largest", tree->processes[group->largest].name);
	vmt_emitter_u64(emitter, "rss_bytes", group->rss_bytes);
	emit_figure(emitter, "private_bytes", group->private_bytes);
	emit_figure(emitter, "least_private_bytes",
		    has_all ? group->least_private_bytes : VMT_FIGURE_UNKNOWN);
	emit_figure(emitter, "most_private_bytes",
		    has_all ? group->most_private_bytes : VMT_FIGURE_UNKNOWN);
	emit_figure(emitter, "proportional_bytes", group->proportional_bytes);
	vmt_emitter_u64(emitter, "peak_rss_bytes", group->peak_rss_bytes);
	vmt_emitter_object_end(emitter);
}

void
vmt_tree_json_emit(const struct vmt_tree *tree, const char *directory, size_t top, const char *key,
		   struct vmt_emitter *emitter)
{
	vmt_emitter_object(emitter, key);
	vmt_emitter_string(emitter, "schema", "vmtrace-list/1");
	vmt_emitter_string(emitter, "directory", directory);
	vmt_emitter_u64(emitter, "unreadable", tree->unreadable);
	vmt_emitter_string(emitter, "unreadable_why", tree->unreadable_why);
	vmt_emitter_u64(emitter, "passed_over", tree->passed_over);
	vmt_emitter_u64(emitter, "ambiguous", tree->ambiguous);
	vmt_emitter_array(emitter, "traces");
	for (size_t i = 0; i < tree->count && i < top; i++)
		emit_process(emitter, tree, &tree->processes[i]);
	vmt_emitter_array_end(emitter);
	vmt_emitter_array(emitter, "trees");
	for (size_t i = 0; i < tree->family_count; i++)
		emit_family(emitter, tree, &tree->families[i]);
	vmt_emitter_array_end(emitter);
	vmt_emitter_array(emitter, "groups");
	for (size_t i = 0; i < tree->group_count; i++)
		emit_group(emitter, tree, &tree->groups[i]);
	vmt_emitter_array_end(emitter);
	vmt_emitter_object_end(emitter);
}

int
vmt_tree_json_print(const struct vmt_tree *tree, const char *directory, size_t top, FILE *out,
		    struct vmt_err *err)
{
	struct vmt_emitter emitter;

	vmt_emitter_begin(&emitter, out, VMT_EMITTER_JSON);
	vmt_tree_json_emit(tree, directory, top, NULL, &emitter);
	return vmt_emitter_finish(&emitter, err);
}
