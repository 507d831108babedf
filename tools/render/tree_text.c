#include "tools/render/tree_text.h"

#include "tools/render/sentence.h"
#include "tools/render/tree_branches.h"
#include "tools/render/units.h"

#include <stdlib.h>
#include <string.h>

/* Trees of several processes that have parts of their own in the text. */
#define MOST_FAMILIES 5u
/* Snapshots that lack more than this part of their RSS were outgrown until the moment. */
#define OUTGROWN_PART 4u
/* Of what is said below a row. */
#define INDENT 13
/* Of a tree's heading; its rows have the whole title. */
#define TITLE_COLUMNS 60u

static const char *
figure(char text[VMT_UNITS_BYTES], uint64_t bytes)
{
	return bytes == VMT_FIGURE_UNKNOWN ? "?" : vmt_units_bytes(text, bytes);
}

static void
say_moment(struct vmt_sentence *sentence, const struct vmt_tree *tree,
	   const struct vmt_tree_family *family)
{
	int64_t since_ns = family->moment_ns - tree->processes[family->root].start_ns;
	char text[VMT_UNITS_BYTES];

	vmt_units_duration(text, since_ns > 0 ? (uint64_t)since_ns : 0);
	if (tree->processes[family->root].is_snapshot)
		vmt_sentence_say(sentence, " when last looked at");
	else if (family->is_live)
		vmt_sentence_say(sentence, " now");
	else if (tree->at == VMT_TREE_AT_TIME)
		vmt_sentence_say(sentence, " %s after the start", text);
	else if (tree->at == VMT_TREE_AT_END)
		vmt_sentence_say(sentence, " at the end, %s after the start", text);
	else
		vmt_sentence_say(sentence, " at the peak, %s after the start", text);
}

static void
say_outside(struct vmt_sentence *sentence, const struct vmt_tree_sum *sum)
{
	char text[VMT_UNITS_BYTES];

	if (sum->outside_bytes == VMT_FIGURE_UNKNOWN)
		return;
	vmt_sentence_say(sentence,
			 " Without the share of other programs that map the same pages (%s),",
			 vmt_units_bytes(text, sum->outside_bytes));
	vmt_sentence_say(sentence, " it is %s (Pss).",
			 vmt_units_bytes(text, sum->proportional_bytes));
}

/* "5 processes without a trace are not in it (up to 860 KiB private each)." */
static void
say_untraced(struct vmt_sentence *sentence, const struct vmt_tree_untraced *untraced)
{
	char text[VMT_UNITS_BYTES];
	bool is_one = untraced->there == 1;

	if (untraced->brief)
		vmt_sentence_say(sentence,
				 " Up to %zu more, which ended within about 20 ms of their forks, "
				 "may have been there: nothing was read of them.",
				 untraced->brief);
	if (untraced->executed)
		vmt_sentence_say(sentence,
				 " %zu program%s that load%s no library %s executed and not "
				 "recorded: not in it.",
				 untraced->executed, untraced->executed == 1 ? "" : "s",
				 untraced->executed == 1 ? "s" : "",
				 untraced->executed == 1 ? "was" : "were");
	if (untraced->there == 0)
		return;
	vmt_sentence_say(sentence, " %zu %s without a trace %s not in it", untraced->there,
			 is_one ? "process" : "processes", is_one ? "is" : "are");
	if (untraced->unread < untraced->there)
		vmt_sentence_say(sentence, " (%s%s private%s was read)", is_one ? "" : "up to ",
				 vmt_units_bytes(text, untraced->most_private_bytes),
				 is_one ? "" : " each");
	if (untraced->unread)
		vmt_sentence_say(sentence, ", %snothing was read",
				 untraced->unread == untraced->there ? "" : "of some ");
	vmt_sentence_say(sentence, ".");
}

/* How far the snapshots are from the moment, and from one another. */
static void
say_skew(struct vmt_sentence *sentence, const struct vmt_tree_family *family)
{
	char text[VMT_UNITS_BYTES];

	vmt_sentence_say(sentence, " By snapshots of at most %s before or after.",
			 vmt_units_duration(text, (uint64_t)family->skew_ns));
	if (family->sum.is_apart)
		vmt_sentence_say(sentence, " Processes came or went between them.");
	if (family->unseen)
		vmt_sentence_say(sentence, " %zu more had no snapshot and are not in the sum.",
				 family->unseen);
	say_untraced(sentence, &family->untraced);
}

/* What is not in the sum makes it too small. */
static const char *
bound_words(const struct vmt_tree_family *family)
{
	if (family->sum.is_least)
		return "At least about ";
	return family->sum.is_estimate ? "About " : "";
}

/* "RSS of 3 processes added up: about 109 MiB at the peak, 700 ms after the start" */
static void
say_rss_then(struct vmt_sentence *sentence, const struct vmt_tree *tree,
	     const struct vmt_tree_family *family)
{
	size_t read = family->there - family->unread;
	char bytes[VMT_UNITS_BYTES];

	vmt_sentence_say(sentence, "RSS of %zu %s: about %s", read,
			 read == 1 ? "process" : "processes added up",
			 vmt_units_bytes(bytes, family->moment_rss_bytes));
	say_moment(sentence, tree, family);
}

/* Whether most of what was read at the moment came after the snapshots: the sum of these is no
 * figure of that moment then. */
static bool
is_outgrown(const struct vmt_tree_family *family)
{
	uint64_t seen = family->sum.rss_bytes;

	return family->moment_rss_bytes > seen &&
	       family->moment_rss_bytes - seen > seen / OUTGROWN_PART;
}

/* What was read at the moment first, then the least that snapshots show. */
static void
say_outgrown(struct vmt_sentence *sentence, const struct vmt_tree *tree,
	     const struct vmt_tree_family *family)
{
	const struct vmt_tree_sum *sum = &family->sum;
	size_t seen = family->there - family->unseen;
	char bytes[VMT_UNITS_BYTES];

	say_rss_then(sentence, tree, family);
	vmt_sentence_say(sentence, ", shared pages once for each. ");
	if (family->unread)
		vmt_sentence_say(sentence, "RSS of %zu more was not read until then. ",
				 family->unread);
	vmt_sentence_say(sentence, "%s%s with each shared page counted once, in the snapshots of ",
			 bound_words(family), vmt_units_bytes(bytes, sum->once_bytes));
	vmt_sentence_say(sentence, "%zu %s, which have less (RSS added up: %s).", seen,
			 seen == 1 ? "process" : "processes",
			 vmt_units_bytes(bytes, sum->rss_bytes));
	say_outside(sentence, sum);
	say_skew(sentence, family);
}

/* By snapshots, where it is known which pages the processes share. */
static void
say_once(struct vmt_sentence *sentence, const struct vmt_tree *tree,
	 const struct vmt_tree_family *family)
{
	const struct vmt_tree_sum *sum = &family->sum;
	size_t seen = family->there - family->unseen;
	char bytes[VMT_UNITS_BYTES];

	vmt_sentence_say(sentence, "%s%s in RAM%s", bound_words(family),
			 vmt_units_bytes(bytes, sum->once_bytes), seen == 1 ? "" : " together");
	say_moment(sentence, tree, family);
	vmt_sentence_say(sentence, ": %zu %s, each shared page counted once (RSS added up: %s).",
			 seen, seen == 1 ? "process" : "processes",
			 vmt_units_bytes(bytes, sum->rss_bytes));
	say_outside(sentence, sum);
	say_skew(sentence, family);
	if (sum->is_short)
		vmt_sentence_say(sentence, " RSS that was read at the moment itself: %s added up.",
				 vmt_units_bytes(bytes, family->moment_rss_bytes));
}

/* By what was read between snapshots as well. It bounds nothing: processes are read at different
 * times, and what they share is in it for each. */
static void
say_rss(struct vmt_sentence *sentence, const struct vmt_tree *tree,
	const struct vmt_tree_family *family)
{
	size_t read = family->there - family->unread;

	say_rss_then(sentence, tree, family);
	vmt_sentence_say(sentence, read == 1 ? "."
					     : ". Which pages they share is not known:"
					       " together they may have less in RAM.");
	if (family->unread)
		vmt_sentence_say(sentence, " RSS of %zu more was not read until then.",
				 family->unread);
	say_untraced(sentence, &family->untraced);
}

char *
vmt_tree_text_sum(const struct vmt_tree *tree, const struct vmt_tree_family *family, char *text,
		  size_t text_bytes)
{
	struct vmt_sentence sentence = {text, text_bytes, 0};

	text[0] = '\0';
	if (family->there > family->unseen && family->sum.once_bytes != VMT_FIGURE_UNKNOWN &&
	    is_outgrown(family))
		say_outgrown(&sentence, tree, family);
	else if (family->there > family->unseen && family->sum.once_bytes != VMT_FIGURE_UNKNOWN)
		say_once(&sentence, tree, family);
	else if (family->there > family->unread)
		say_rss(&sentence, tree, family);
	else if (family->there == 0) {
		vmt_sentence_say(&sentence, "No process of the tree ran");
		say_moment(&sentence, tree, family);
		vmt_sentence_say(&sentence, ".");
	} else {
		vmt_sentence_say(&sentence, "Nothing was read of the %zu processes that were there",
				 family->there);
		say_moment(&sentence, tree, family);
		vmt_sentence_say(&sentence, ".");
	}
	return text;
}

/* Processes of one family, those with most at the moment first. */
static const struct vmt_tree *sorted_tree;

static int
by_figures(const void *left, const void *right)
{
	const struct vmt_tree_process *a = &sorted_tree->processes[*(const size_t *)left];
	const struct vmt_tree_process *b = &sorted_tree->processes[*(const size_t *)right];

	if (a->has_snapshot != b->has_snapshot)
		return a->has_snapshot ? -1 : 1;
	if (a->has_snapshot && a->at.rss_bytes != b->at.rss_bytes)
		return a->at.rss_bytes < b->at.rss_bytes ? 1 : -1;
	return a < b ? -1 : a > b; /* by peak */
}

static void
print_process(const struct vmt_tree *tree, const struct vmt_layout *layout,
	      const struct vmt_tree_process *process)
{
	const struct vmt_tree_figures *at = &process->at;
	const struct vmt_tree_family *family = &tree->families[process->tree];
	bool has = process->has_snapshot;
	char text[VMT_LAYOUT_LINE_BYTES];
	char rss[VMT_UNITS_BYTES], alone[VMT_UNITS_BYTES], shared[VMT_UNITS_BYTES];
	char proportional[VMT_UNITS_BYTES], peak[VMT_UNITS_BYTES];

	vmt_layout_line(layout, VMT_STYLE_PLAIN, "%10s %10s %10s %10s %10s  %-7s  %s  %s",
			has ? figure(rss, at->rss_bytes) : "-",
			has ? figure(alone, at->private_bytes) : "-",
			has ? figure(shared, at->shared_bytes) : "-",
			has ? figure(proportional, at->proportional_bytes) : "-",
			process->peak_rss_bytes ? figure(peak, process->peak_rss_bytes) : "?",
			process->end, process->name, process->title);
	if (process->owner)
		vmt_layout_line(layout, VMT_STYLE_PLAIN, "%*smost: %s", INDENT, "", process->owner);
	if (family->traces == 1 && (family->untraced.there > 0 || family->untraced.brief > 0 ||
				    family->untraced.executed > 0))
		vmt_layout_line(layout, VMT_STYLE_PLAIN, "%*s%s", INDENT, "",
				vmt_tree_text_sum(tree, family, text, sizeof(text)));
	for (size_t i = 0; i < process->inherited_count; i++) {
		const struct vmt_tree_inherited *part = &process->inherited[i];

		vmt_layout_line(layout, VMT_STYLE_PLAIN, "%*sinherited: %s%s of %s in %s", INDENT,
				"", part->is_estimate ? "about " : "",
				figure(rss, part->committed_bytes), part->call,
				tree->processes[part->from].name);
	}
}

static void
print_rows(const struct vmt_tree *tree, const struct vmt_layout *layout, size_t *rows, size_t count,
	   size_t top)
{
	sorted_tree = tree;
	qsort(rows, count, sizeof(*rows), by_figures);
	vmt_layout_line(layout, VMT_STYLE_TITLE, "%10s %10s %10s %10s %10s  %-7s  %s", "RSS",
			"private", "shared", "Pss", "peak", "end", "trace and title");
	for (size_t i = 0; i < count && i < top; i++)
		print_process(tree, layout, &tree->processes[rows[i]]);
	if (count > top)
		vmt_layout_line(layout, VMT_STYLE_DIM, "  and %zu more: --top N has more rows",
				count - top);
}

/* "1.4 MiB private each", "1.2 to 1.6 MiB private each", "1.4 MiB private (1 of 3 is known)". */
static void
say_private(struct vmt_sentence *sentence, const struct vmt_tree_group *group)
{
	char least[VMT_UNITS_BYTES], most[VMT_UNITS_BYTES];

	if (group->least_private_bytes == VMT_FIGURE_UNKNOWN)
		return;
	vmt_units_bytes(least, group->least_private_bytes);
	vmt_units_bytes(most, group->most_private_bytes);
	if (strcmp(least, most) == 0)
		vmt_sentence_say(sentence, ", %s private", least);
	else
		vmt_sentence_say(sentence, ", %s to %s private", least, most);
	if (group->known == group->there)
		vmt_sentence_say(sentence, " each");
	else
		vmt_sentence_say(sentence, " (%zu of %zu %s known)", group->known, group->there,
				 group->known == 1 ? "is" : "are");
}

static void
print_group(const struct vmt_tree *tree, const struct vmt_layout *layout,
	    const struct vmt_tree_group *group)
{
	char text[VMT_LAYOUT_LINE_BYTES] = "";
	struct vmt_sentence sentence = {text, sizeof(text), 0};
	char bytes[VMT_UNITS_BYTES];

	vmt_sentence_say(&sentence, "%zu times %s", group->traces, group->name);
	if (group->there) {
		say_private(&sentence, group);
		if (group->proportional_bytes != VMT_FIGURE_UNKNOWN &&
		    !tree->families[group->tree].sum.is_apart)
			vmt_sentence_say(&sentence, ", %s together (Pss)",
					 vmt_units_bytes(bytes, group->proportional_bytes));
		if (group->there < group->traces)
			vmt_sentence_say(&sentence, "; %zu of them then", group->there);
	} else
		vmt_sentence_say(&sentence, ", none of them then");
	vmt_sentence_say(&sentence, "; largest: %s", tree->processes[group->largest].name);
	vmt_layout_row(layout, VMT_STYLE_PLAIN, text, 2);
}

static void
print_groups(const struct vmt_tree *tree, const struct vmt_tree_text_options *options,
	     size_t family)
{
	size_t shown = 0;

	for (size_t i = 0; i < tree->group_count; i++) {
		const struct vmt_tree_group *group = &tree->groups[i];

		if (group->tree != family || group->traces < 2)
			continue;
		if (shown == 0) {
			fputc('\n', options->layout.out);
			vmt_layout_line(&options->layout, VMT_STYLE_TITLE, "Groups");
		}
		if (shown++ < options->top)
			print_group(tree, &options->layout, group);
	}
	if (shown > options->top)
		vmt_layout_line(&options->layout, VMT_STYLE_DIM,
				"  and %zu more: --top N has more rows", shown - options->top);
}

/* A row's figures are of a snapshot, and those of two rows of different times. */
static void
print_skew(const struct vmt_layout *layout, const struct vmt_tree_family *family)
{
	char text[VMT_UNITS_BYTES];

	if (family->there > family->unseen)
		vmt_layout_line(layout, VMT_STYLE_DIM,
				"Each by a snapshot of its own, at most %s before or after",
				vmt_units_duration(text, (uint64_t)family->skew_ns));
}

static void
print_family(const struct vmt_tree *tree, const struct vmt_tree_text_options *options,
	     size_t number, size_t *rows)
{
	const struct vmt_tree_family *family = &tree->families[number];
	const struct vmt_tree_process *root = &tree->processes[family->root];
	const struct vmt_layout *layout = &options->layout;
	char text[VMT_LAYOUT_LINE_BYTES];
	char title[VMT_LAYOUT_LINE_BYTES];
	size_t count = 0;

	for (size_t i = 0; i < tree->count; i++)
		if (tree->processes[i].tree == number &&
		    tree->processes[i].continued == VMT_TREE_NONE)
			rows[count++] = i;
	fputc('\n', layout->out);
	vmt_layout_shorten(layout, title, sizeof(title), root->title, TITLE_COLUMNS);
	vmt_layout_line(layout, VMT_STYLE_TITLE, "Tree of %s (process %u), %zu traces", title,
			root->pid, family->traces);
	vmt_layout_wrap(layout, VMT_STYLE_PLAIN,
			vmt_tree_text_sum(tree, family, text, sizeof(text)), 0);
	fputc('\n', layout->out);
	print_skew(layout, family);
	print_rows(tree, layout, rows, count, options->top);
	print_groups(tree, options, number);
	vmt_tree_branches_print(tree, number, layout, options->top);
}

/* Of which moment the rows are that have no tree. */
static const char *
others_words(const struct vmt_tree *tree, const size_t *rows, size_t count)
{
	bool all = count == tree->count;

	for (size_t i = 0; i < count; i++)
		if (!tree->processes[rows[i]].is_snapshot)
			return all ? "Each at its peak, or now where it runs"
				   : "Others, each at its peak, or now where it runs";
	return all ? "Each when it was looked at" : "Others, each when it was looked at";
}

/* Processes without relatives here, and those of trees that have no part of their own. */
static void
print_others(const struct vmt_tree *tree, const struct vmt_tree_text_options *options, size_t *rows)
{
	size_t count = 0;

	for (size_t i = 0; i < tree->count; i++)
		if (tree->families[tree->processes[i].tree].traces == 1 &&
		    tree->processes[i].continued == VMT_TREE_NONE)
			rows[count++] = i;
	if (count == 0)
		return;
	fputc('\n', options->layout.out);
	vmt_layout_line(&options->layout, VMT_STYLE_TITLE, "%s", others_words(tree, rows, count));
	print_rows(tree, &options->layout, rows, count, options->top);
}

const char *
vmt_tree_text_loss(const struct vmt_tree *tree, enum vmt_tree_loss loss, char *text,
		   size_t text_bytes)
{
	size_t count = 0;

	switch (loss) {
	case VMT_TREE_LOSS_UNREADABLE:
		count = tree->unreadable;
		snprintf(text, text_bytes, "and %zu unreadable, the first: %s", count,
			 tree->unreadable_why ? tree->unreadable_why : "");
		break;
	case VMT_TREE_LOSS_PASSED_OVER:
		count = tree->passed_over;
		snprintf(text, text_bytes, "and %zu that were not looked at: there are too many",
			 count);
		break;
	case VMT_TREE_LOSS_AMBIGUOUS:
		count = tree->ambiguous;
		snprintf(text, text_bytes,
			 "and %zu of unknown parents: several traces may be theirs", count);
		break;
	case VMT_TREE_LOSSES:
		break;
	}
	return count ? text : NULL;
}

static void
print_losses(const struct vmt_tree *tree, const struct vmt_layout *layout)
{
	char text[VMT_LAYOUT_LINE_BYTES];

	for (enum vmt_tree_loss i = 0; i < VMT_TREE_LOSSES; i++)
		if (vmt_tree_text_loss(tree, i, text, sizeof(text)))
			vmt_layout_line(layout, VMT_STYLE_ALARM, "%s", text);
}

void
vmt_tree_text_print(const struct vmt_tree *tree, const struct vmt_tree_text_options *options)
{
	const struct vmt_layout *layout = &options->layout;
	size_t *rows = calloc(tree->count + 1, sizeof(*rows));
	size_t families = 0;

	vmt_layout_line(layout, VMT_STYLE_TITLE, "%zu trace%s%s%s", tree->count,
			tree->count == 1 ? "" : "s", options->where ? " in " : "",
			options->where ? options->where : "");
	print_losses(tree, layout);
	for (size_t i = 0; rows && i < tree->family_count; i++)
		if (tree->families[i].traces > 1 && families++ < MOST_FAMILIES)
			print_family(tree, options, i, rows);
	if (families > MOST_FAMILIES)
		vmt_layout_line(layout, VMT_STYLE_DIM,
				"and %zu smaller trees: --format json has them all",
				families - MOST_FAMILIES);
	if (rows)
		print_others(tree, options, rows);
	free(rows);
}
