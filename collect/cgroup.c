#include "collect/cgroup.h"

#include "collect/buffer.h"
#include "collect/procfs.h"
#include "collect/sys.h"

/* mountinfo of a host with many containers is long; what does not fit is not looked at. */
#define MOUNTS_BYTES (256u * 1024)
#define MEMBERSHIPS_BYTES 4096u
#define FIGURES_BYTES 8192u

/* v1 says "no limit" by the largest multiple of a page. */
#define NO_LIMIT_BYTES (UINT64_C(1) << 62)

/* Whether a comma-separated list has the word. */
static bool
list_has(struct vmt_text list, const char *word)
{
	struct vmt_text item;

	while (vmt_text_take_until(&list, ',', &item)) {
		if (vmt_text_equals(&item, word))
			return true;
	}
	return false;
}

/* The path of the process in the hierarchy that has the memory controller; "ID:LIST:PATH" lines.
 * The unified hierarchy has an empty list. */
static bool
find_membership(struct vmt_text memberships, uint32_t version, struct vmt_text *path)
{
	struct vmt_text line, id, list;

	while (vmt_text_take_line(&memberships, &line)) {
		if (!vmt_text_take_until(&line, ':', &id) ||
		    !vmt_text_take_until(&line, ':', &list))
			continue;
		if (version == 1 ? list_has(list, "memory") : list.at == list.end) {
			*path = line;
			return true;
		}
	}
	return false;
}

/* "ID PARENT MAJOR:MINOR ROOT POINT OPTIONS [TAGS...] - TYPE SOURCE SUPER_OPTIONS" */
static bool
parse_mount(struct vmt_text line, uint32_t version, struct vmt_text *root, struct vmt_text *point)
{
	struct vmt_text word, type, source, options;

	for (int field = 0; field < 3; field++) {
		if (!vmt_text_take_word(&line, &word))
			return false;
	}
	if (!vmt_text_take_word(&line, root) || !vmt_text_take_word(&line, point))
		return false;
	do {
		if (!vmt_text_take_word(&line, &word))
			return false;
	} while (!vmt_text_equals(&word, "-"));
	if (!vmt_text_take_word(&line, &type) || !vmt_text_take_word(&line, &source) ||
	    !vmt_text_take_word(&line, &options))
		return false;
	if (version == 2)
		return vmt_text_equals(&type, "cgroup2");
	return vmt_text_equals(&type, "cgroup") && list_has(options, "memory");
}

static bool
find_mount(struct vmt_text mounts, uint32_t version, struct vmt_text *root, struct vmt_text *point)
{
	struct vmt_text line;

	while (vmt_text_take_line(&mounts, &line)) {
		if (parse_mount(line, version, root, point))
			return true;
	}
	return false;
}

/* Where the mount shows a part of the hierarchy only, the process's path begins with that part. */
static void
strip_root(struct vmt_text *path, const struct vmt_text *root)
{
	size_t length = vmt_text_length(root);

	if (length <= 1 || vmt_text_length(path) < length ||
	    memcmp(path->at, root->at, length) != 0)
		return;
	if (vmt_text_length(path) == length || path->at[length] == '/')
		path->at += length;
}

static bool
locate_version(struct vmt_cgroup *cgroup, struct vmt_text memberships, struct vmt_text mounts,
	       uint32_t version)
{
	struct vmt_text_out out = vmt_text_out_begin(cgroup->path, sizeof(cgroup->path));
	struct vmt_text path, root, point;

	if (!find_membership(memberships, version, &path) ||
	    !find_mount(mounts, version, &root, &point))
		return false;
	strip_root(&path, &root);
	if (vmt_text_length(&path) && path.end[-1] == '/')
		path.end--;
	vmt_text_put_bytes(&out, point.at, vmt_text_length(&point));
	cgroup->mount_bytes = (uint32_t)vmt_text_length(&point);
	vmt_text_put_bytes(&out, path.at, vmt_text_length(&path));
	cgroup->version = version;
	return !out.overflow;
}

bool
vmt_cgroup_locate(struct vmt_cgroup *cgroup, struct vmt_text memberships, struct vmt_text mounts)
{
	/* In a mixed system the memory controller is in one hierarchy: v1 if that names it. */
	if (locate_version(cgroup, memberships, mounts, 1) ||
	    locate_version(cgroup, memberships, mounts, 2))
		return true;
	cgroup->path[0] = '\0';
	return false;
}

static long
read_path(const char *path, char *buffer, size_t length)
{
	int fd = vmt_sys_open(path, O_RDONLY, 0);
	long got;

	if (fd < 0)
		return fd;
	got = vmt_procfs_read(fd, buffer, length);
	vmt_sys_close(fd);
	return got;
}

bool
vmt_cgroup_find(struct vmt_cgroup *cgroup, uint32_t pid)
{
	char memberships[MEMBERSHIPS_BYTES];
	struct vmt_buffer mounts = {0};
	long membership_bytes = -1, mount_bytes = -1;
	int fd = vmt_procfs_open(pid, "cgroup");
	bool found = false;

	cgroup->path[0] = '\0';
	if (fd >= 0) {
		membership_bytes = vmt_procfs_read(fd, memberships, sizeof(memberships));
		vmt_sys_close(fd);
	}
	if (membership_bytes > 0 && vmt_buffer_reserve(&mounts, MOUNTS_BYTES))
		mount_bytes = read_path("/proc/self/mountinfo", (char *)mounts.bytes, MOUNTS_BYTES);
	if (mount_bytes > 0)
		found =
		    vmt_cgroup_locate(cgroup, vmt_text_of(memberships, (size_t)membership_bytes),
				      vmt_text_of((const char *)mounts.bytes, (size_t)mount_bytes));
	vmt_buffer_free(&mounts);
	return found;
}

/* Reads a file of the directory that is the first `directory_bytes` of the path. */
static struct vmt_text
read_figures(const struct vmt_cgroup *cgroup, size_t directory_bytes, const char *name,
	     char *buffer)
{
	char path[VMT_CGROUP_PATH_BYTES + 64];
	struct vmt_text_out out = vmt_text_out_begin(path, sizeof(path));
	long got;

	vmt_text_put_bytes(&out, cgroup->path, directory_bytes);
	vmt_text_put(&out, "/");
	vmt_text_put(&out, name);
	got = out.overflow ? 0 : read_path(path, buffer, FIGURES_BYTES);
	return vmt_text_of(buffer, got > 0 ? (size_t)got : 0);
}

static uint64_t
read_number(const struct vmt_cgroup *cgroup, size_t directory_bytes, const char *name, char *buffer)
{
	struct vmt_text text = read_figures(cgroup, directory_bytes, name, buffer);
	uint64_t number;

	return vmt_text_take_decimal(&text, &number) ? number : VMT_FIGURE_UNKNOWN;
}

static uint64_t
figure(struct vmt_text text, const char *key)
{
	uint64_t number;

	return vmt_text_find_figure(text, key, &number) ? number : VMT_FIGURE_UNKNOWN;
}

/* v2: the lowest limit from here up to the mount. */
static uint64_t
read_limit(const struct vmt_cgroup *cgroup, char *buffer)
{
	size_t directory_bytes = strlen(cgroup->path);
	uint64_t lowest = VMT_FIGURE_UNKNOWN;

	while (directory_bytes > cgroup->mount_bytes) {
		uint64_t limit = read_number(cgroup, directory_bytes, "memory.max", buffer);

		if (limit < lowest)
			lowest = limit;
		do
			directory_bytes--;
		while (directory_bytes > cgroup->mount_bytes &&
		       cgroup->path[directory_bytes] != '/');
	}
	return lowest;
}

static void
read_second(const struct vmt_cgroup *cgroup, struct vmt_usage *usage, char *buffer)
{
	size_t whole = strlen(cgroup->path);
	struct vmt_text text;

	usage->cgroup_current_bytes = read_number(cgroup, whole, "memory.current", buffer);
	usage->cgroup_peak_bytes = read_number(cgroup, whole, "memory.peak", buffer);
	usage->cgroup_limit_bytes = read_limit(cgroup, buffer);
	text = read_figures(cgroup, whole, "memory.stat", buffer);
	usage->cgroup_anon_bytes = figure(text, "anon");
	usage->cgroup_file_bytes = figure(text, "file");
	text = read_figures(cgroup, whole, "memory.events", buffer);
	usage->cgroup_oom_kills = figure(text, "oom_kill");
}

static void
read_first(const struct vmt_cgroup *cgroup, struct vmt_usage *usage, char *buffer)
{
	size_t whole = strlen(cgroup->path);
	struct vmt_text text;
	uint64_t limit;

	usage->cgroup_current_bytes = read_number(cgroup, whole, "memory.usage_in_bytes", buffer);
	usage->cgroup_peak_bytes = read_number(cgroup, whole, "memory.max_usage_in_bytes", buffer);
	text = read_figures(cgroup, whole, "memory.stat", buffer);
	limit = figure(text, "hierarchical_memory_limit");
	usage->cgroup_limit_bytes = limit < NO_LIMIT_BYTES ? limit : VMT_FIGURE_UNKNOWN;
	usage->cgroup_anon_bytes = figure(text, "total_rss");
	usage->cgroup_file_bytes = figure(text, "total_cache");
	text = read_figures(cgroup, whole, "memory.oom_control", buffer);
	usage->cgroup_oom_kills = figure(text, "oom_kill");
}

void
vmt_cgroup_read(const struct vmt_cgroup *cgroup, struct vmt_usage *usage)
{
	char buffer[FIGURES_BYTES];

	usage->cgroup_current_bytes = VMT_FIGURE_UNKNOWN;
	usage->cgroup_peak_bytes = VMT_FIGURE_UNKNOWN;
	usage->cgroup_limit_bytes = VMT_FIGURE_UNKNOWN;
	usage->cgroup_anon_bytes = VMT_FIGURE_UNKNOWN;
	usage->cgroup_file_bytes = VMT_FIGURE_UNKNOWN;
	usage->cgroup_oom_kills = VMT_FIGURE_UNKNOWN;
	if (cgroup->path[0] == '\0')
		return;
	if (cgroup->version == 2)
		read_second(cgroup, usage, buffer);
	else
		read_first(cgroup, usage, buffer);
}
