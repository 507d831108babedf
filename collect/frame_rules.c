#include "collect/frame_rules.h"

#include "base/assert.h"
#include "base/procfs.h"
#include "base/sys.h"
#include "base/text.h"
#include "collect/frame_tables.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#define RULES (1u << VMT_FRAME_RULE_BITS)
#define FILES 1024u
#define NO_RULE vmt_cfi_rule_pack(VMT_CFI_FRAME_POINTER, 0, 0)

/* By what a file is known again. Of one that can't be opened: the digest in the place of its size,
 * and no times. */
struct identity {
	uint64_t inode;
	uint64_t size;
	uint64_t modified_ns;
	uint64_t changed_ns;
	uint32_t device;
	bool opened;
};

struct known_file {
	struct identity identity;
	struct vmt_frame_tables tables;
};

_Static_assert(FILES < VMT_FRAME_NO_FILE, "a file's number is one of 16 bits");

static struct known_file *
file_of(const struct vmt_frame_rules *rules, uint32_t number)
{
	vmt_assert(number >= 1 && number <= rules->files_count);
	return (struct known_file *)(void *)(rules->memory.bytes +
					     RULES * sizeof(struct vmt_frame_rule)) +
	       (number - 1);
}

/* Every number of a file is forgotten. */
static void
begin_epoch(struct vmt_frame_rules *rules)
{
	rules->files_count = 0;
	rules->epoch = rules->epoch == UINT32_MAX ? 1 : rules->epoch + 1;
}

static bool
set_up(struct vmt_frame_rules *rules)
{
	if (rules->rules)
		return true;
	if (!vmt_buffer_reserve(&rules->memory, RULES * sizeof(struct vmt_frame_rule) +
						    FILES * sizeof(struct known_file)))
		return false;
	rules->rules = (struct vmt_frame_rule *)(void *)rules->memory.bytes;
	begin_epoch(rules);
	return true;
}

void
vmt_frame_rules_rest(struct vmt_frame_rules *rules)
{
	for (uint32_t i = 0; i < VMT_FRAME_OPEN_FILES; i++) {
		if (rules->open[i].file != 0)
			vmt_sys_close(rules->open[i].fd);
		rules->open[i].file = 0;
	}
}

/* The numbers are used up. */
static void
forget(struct vmt_frame_rules *rules)
{
	vmt_frame_rules_rest(rules);
	memset(rules->rules, 0, RULES * sizeof(*rules->rules));
	begin_epoch(rules);
}

static bool
is_same(const struct identity *one, const struct identity *other)
{
	return one->inode == other->inode && one->size == other->size &&
	       one->modified_ns == other->modified_ns && one->changed_ns == other->changed_ns &&
	       one->device == other->device && one->opened == other->opened;
}

static uint64_t
nanoseconds(const struct timespec *time)
{
	return (uint64_t)time->tv_sec * UINT64_C(1000000000) + (uint64_t)time->tv_nsec;
}

/* As maps has it: the kernel's encoding is that of new_encode_dev (Linux include/linux/kdev_t.h).
 */
static uint32_t
device_of(uint64_t number)
{
	uint64_t major = number >> 8 & 0xfff;
	uint64_t minor = (number & 0xff) | (number >> 12 & 0xfff00);

	return (uint32_t)(major << 20 | minor);
}

static bool
identify(int fd, struct identity *identity)
{
	struct stat status;

	if (vmt_sys_call4(SYS_newfstatat, fd, "", &status, AT_EMPTY_PATH) < 0 ||
	    !S_ISREG(status.st_mode))
		return false;
	*identity = (struct identity){.inode = status.st_ino,
				      .size = (uint64_t)status.st_size,
				      .modified_ns = nanoseconds(&status.st_mtim),
				      .changed_ns = nanoseconds(&status.st_ctim),
				      .device = device_of(status.st_dev),
				      .opened = true};
	return true;
}

/* To be read, once it is known to be what it should be: a device or a pipe is never opened. */
static int
open_again(int fd)
{
	char path[64];
	struct vmt_text_out out = vmt_text_out_begin(path, sizeof(path));

	vmt_text_put(&out, "/proc/self/fd/");
	vmt_text_put_decimal(&out, (uint64_t)fd);
	return vmt_sys_open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);
}

static int
open_path(const char *path, const struct vmt_code_range *range, struct identity *identity)
{
	int place = vmt_sys_open(path, O_PATH, 0);
	int fd = -ESTALE;

	if (place < 0)
		return place;
	if (identify(place, identity) && identity->inode == range->inode &&
	    identity->device == range->device)
		fd = open_again(place);
	vmt_sys_close(place);
	return fd;
}

static bool
is_short_of_descriptors(int result)
{
	return result == -EMFILE || result == -ENFILE || result == -ENOMEM;
}

/* The file of a range: as the process sees it, else as the collector does. Descriptor or negative
 * errno. */
static int
open_file(const struct vmt_code_ranges *code, const struct vmt_code_range *range,
	  struct identity *identity)
{
	char path[64 + PATH_MAX];
	struct vmt_text_out out = vmt_text_out_begin(path, sizeof(path));
	const char *own = vmt_code_ranges_path(code, range);
	size_t root_bytes;
	int fd;

	if (range->path == 0 || own[0] != '/' || range->inode == 0)
		return -ENOENT;
	vmt_text_put(&out, "/proc/");
	vmt_text_put_decimal(&out, code->pid);
	vmt_text_put(&out, "/root");
	root_bytes = (size_t)(out.at - path);
	vmt_text_put_bytes(&out, own, range->path_bytes);
	if (out.overflow)
		return -ENAMETOOLONG;
	fd = open_path(path, range, identity);
	if (fd < 0 && !is_short_of_descriptors(fd))
		fd = open_path(path + root_bytes, range, identity);
	return fd;
}

static uint32_t
find_file(const struct vmt_frame_rules *rules, const struct identity *identity)
{
	for (uint32_t number = 1; number <= rules->files_count; number++) {
		if (is_same(&file_of(rules, number)->identity, identity))
			return number;
	}
	return 0;
}

static uint32_t
add_file(struct vmt_frame_rules *rules, const struct identity *identity,
	 const struct vmt_frame_tables *tables)
{
	if (rules->files_count == FILES)
		forget(rules);
	rules->files_count++;
	*file_of(rules, rules->files_count) = (struct known_file){*identity, *tables};
	return rules->files_count;
}

/* Keeps a descriptor for the next looks; the oldest of them goes. */
static void
keep_open(struct vmt_frame_rules *rules, uint32_t number, int fd)
{
	struct vmt_frame_open_file *place = &rules->open[rules->next_open++ % VMT_FRAME_OPEN_FILES];

	if (place->file != 0)
		vmt_sys_close(place->fd);
	*place = (struct vmt_frame_open_file){fd, (uint16_t)number};
}

static uint32_t
know_opened(struct vmt_frame_rules *rules, const struct identity *identity, int fd)
{
	const struct vmt_frame_source source = {.fd = fd};
	struct vmt_frame_tables tables;
	uint32_t number = find_file(rules, identity);

	if (number == 0 && vmt_frame_tables_describe(&source, 0, &tables))
		number = add_file(rules, identity, &tables);
	if (number != 0)
		keep_open(rules, number, fd);
	else
		vmt_sys_close(fd);
	return number;
}

/* What was read of a pid's memory may be a successor's. */
static bool
is_there(const struct vmt_code_ranges *code)
{
	return code->maps_fd >= 0 && vmt_procfs_is_mapped(code->maps_fd);
}

static bool
is_vdso(const struct vmt_code_ranges *code, const struct vmt_code_range *range)
{
	static const char name[] = "[vdso]";

	return range->path_bytes == sizeof(name) - 1 &&
	       memcmp(vmt_code_ranges_path(code, range), name, sizeof(name) - 1) == 0;
}

static uint32_t
know_memory(struct vmt_frame_rules *rules, const struct vmt_code_ranges *code,
	    const struct vmt_code_range *range)
{
	const struct vmt_frame_source source = {.fd = -1, .pid = code->pid};
	struct identity identity = {.inode = range->inode, .device = range->device};
	struct vmt_frame_tables tables;
	uint64_t first = range->first ? range->first : range->low - range->file_offset;
	uint32_t number;

	if ((range->inode == 0 && !is_vdso(code, range)) ||
	    !vmt_frame_tables_describe(&source, first, &tables) || !is_there(code))
		return 0;
	identity.size = tables.digest;
	number = find_file(rules, &identity);
	return number ? number : add_file(rules, &identity, &tables);
}

/* Gives the range its file's number. False: worth another try. */
static bool
resolve(struct vmt_frame_rules *rules, const struct vmt_code_ranges *code,
	struct vmt_code_range *range)
{
	struct identity identity;
	int fd = open_file(code, range, &identity);
	uint32_t number;

	if (is_short_of_descriptors(fd))
		return false;
	number = fd >= 0 ? know_opened(rules, &identity, fd) : know_memory(rules, code, range);
	if (number == 0 || !vmt_frame_tables_bias(&file_of(rules, number)->tables, range->low,
						  range->file_offset, &range->bias))
		number = VMT_FRAME_NO_FILE;
	range->file = (uint16_t)number;
	range->epoch = rules->epoch;
	return true;
}

/* A descriptor of a range's file, from the last looks or opened now; negative: it can't be read. */
static int
descriptor_of(struct vmt_frame_rules *rules, const struct vmt_code_ranges *code,
	      const struct vmt_code_range *range)
{
	const struct known_file *file = file_of(rules, range->file);
	struct identity identity;
	int fd;

	for (uint32_t i = 0; i < VMT_FRAME_OPEN_FILES; i++) {
		if (rules->open[i].file == range->file)
			return rules->open[i].fd;
	}
	if (!file->identity.opened)
		return -ENOENT;
	fd = open_file(code, range, &identity);
	if (fd >= 0 && !is_same(&identity, &file->identity)) {
		vmt_sys_close(fd);
		return -ESTALE;
	}
	if (fd >= 0)
		keep_open(rules, range->file, fd);
	return fd;
}

static uint32_t
read_rule(struct vmt_frame_rules *rules, const struct vmt_code_ranges *code,
	  const struct vmt_code_range *range, uint64_t address)
{
	const struct vmt_frame_tables *tables = &file_of(rules, range->file)->tables;
	uint64_t key = vmt_frame_rules_key(range, address);
	struct vmt_frame_source source = {.fd = -1, .pid = code->pid, .bias = range->bias};
	uint32_t rule;

	source.fd = descriptor_of(rules, code, range);
	if (!vmt_frame_tables_find(&source, tables, address - range->bias, &rule))
		return NO_RULE;
	if (rule == NO_RULE && vmt_frame_tables_is_goexit(&source, tables, address - range->bias))
		rule = vmt_cfi_rule_pack(VMT_CFI_END, 0, 0);
	if (source.fd < 0 && !is_there(code))
		return NO_RULE;
	*vmt_frame_rules_place(rules, key) = (struct vmt_frame_rule){key, rule};
	return rule;
}

uint32_t
vmt_frame_rules_find_slow(struct vmt_frame_rules *rules, const struct vmt_code_ranges *code,
			  struct vmt_code_range *range, uint64_t address)
{
	const struct vmt_frame_rule *place;
	uint64_t key;

	if (!set_up(rules))
		return NO_RULE;
	if (range->epoch != rules->epoch && !resolve(rules, code, range))
		return NO_RULE;
	if (range->file == VMT_FRAME_NO_FILE)
		return NO_RULE;
	key = vmt_frame_rules_key(range, address);
	place = vmt_frame_rules_place(rules, key);
	return place->key == key ? (uint32_t)place->rule : read_rule(rules, code, range, address);
}

void
vmt_frame_rules_free(struct vmt_frame_rules *rules)
{
	vmt_frame_rules_rest(rules);
	vmt_buffer_free(&rules->memory);
	rules->rules = NULL;
	begin_epoch(rules);
}
