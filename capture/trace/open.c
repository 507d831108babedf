/*
 * Over 500 lines: each step of making a trace takes back what the steps before it left behind.
 */
#include "capture/trace/open.h"

#include "base/assert.h"
#include "base/pages.h"
#include "base/prealloc.h"
#include "base/procfs.h"
#include "base/roomy.h"
#include "base/session.h"
#include "base/shm_fallback.h"
#include "base/sys.h"
#include "base/text.h"
#include "base/ticks.h"
#include "capture/core/clock.h"
#include "capture/core/config.h"
#include "capture/core/guard.h"
#include "capture/emit/emit.h"
#include "capture/trace/open_error.h"
#include "format/settings.h"

#include <errno.h>
#include <linux/futex.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#define MAX_ATTEMPTS 1000u
#define AWAIT_NS UINT64_C(200000000)
#define AWAIT_PAUSE_NS 1000000
#define DEFAULT_HEAP_SLOTS 4096u
#define DEFAULT_HEAP_SLOTS_ALL 32768u
#define DEFAULT_MAP_SLOTS 2048u
#define DEFAULT_STACK_WORDS (UINT64_C(256) << 10)
#define DEFAULT_STACK_WORDS_ALL (UINT64_C(1) << 20)
#define DEFAULT_MODULES_BYTES (UINT64_C(256) << 10)
#define SCARCE_PART 4u			      /* of the usual sizes, where a limit counts them */
#define BACKED_STEP_WORDS (UINT64_C(8) << 10) /* a page of any machine, or 16 usual ones */
#define SMALL_SHARDS 2u
#define ROOMY_SHARDS 4u /* with more, each ring has fewer slots */
/* Of all shards, where many mappings are told of at once: 16 MiB. */
#define MOST_MAP_SLOTS (UINT32_C(1) << 18)
/* With more, each ring has as many slots as with these. */
#define TIGHT_SHARDS 32u

/* The linker's name for this library's first byte. */
extern const char __ehdr_start[] __attribute__((visibility("hidden")));

static uint32_t
power_of_two_below(uint64_t number)
{
	return UINT32_C(1) << (63 - __builtin_clzll(number | 1));
}

static uint32_t
ring_slots(uint64_t bytes, size_t slot_bytes)
{
	uint32_t slots = power_of_two_below(bytes / slot_bytes);

	return slots < VMT_RING_MIN_CAPACITY ? VMT_RING_MIN_CAPACITY : slots;
}

/* Four words of records to an index entry. Those of a new stack are five to seven for the most
 * part, and it takes one to three entries. */
static void
size_tables(struct vmt_head *head, const struct vmt_config *config)
{
	uint64_t buffer = config->buffer_bytes;
	bool all = config->malloc_mode == VMT_MALLOC_ALL;

	head->stack_words = all ? DEFAULT_STACK_WORDS_ALL : DEFAULT_STACK_WORDS;
	head->modules_bytes = DEFAULT_MODULES_BYTES;
	if (config->scarce) {
		head->stack_words /= SCARCE_PART;
		head->modules_bytes /= SCARCE_PART;
	}
	if (buffer != 0 && buffer < VMT_CONFIG_SMALL_BUFFER_BYTES) {
		head->stack_words = buffer / 8 < 512 ? 512 : buffer / 8;
		head->modules_bytes = buffer < 8192 ? 8192 : buffer & ~UINT64_C(7);
	}
	if (config->stack_table_bytes != 0)
		head->stack_words = config->stack_table_bytes / sizeof(uint64_t);
	head->stack_index_entries = power_of_two_below(head->stack_words / 4);
	vmt_assert(head->stack_words <= UINT32_MAX && head->modules_bytes % 8 == 0);
}

/* A ring that has been once round stays in memory: all of one class together have a bound up to
 * TIGHT_SHARDS. With more CPUs a ring keeps room for what one thread does until the collector
 * wakes, and all together have twice that bound. */
static void
share_slots(struct vmt_head *head)
{
	uint32_t shards = head->shards < TIGHT_SHARDS ? head->shards : TIGHT_SHARDS;

	for (uint32_t share = ROOMY_SHARDS; share < shards; share *= 2) {
		head->heap_capacity /= 2;
		head->map_capacity /= 2;
	}
	vmt_assert(head->heap_capacity >= VMT_RING_MIN_CAPACITY);
	vmt_assert(head->map_capacity >= VMT_RING_MIN_CAPACITY);
}

/* One thread tells of them, and its ring is not drained meanwhile. A quarter more may come. */
static void
hold_mappings(struct vmt_head *head, uint32_t mappings)
{
	uint64_t wanted = mappings + mappings / 4;

	while (head->map_capacity < wanted && head->map_capacity * head->shards < MOST_MAP_SLOTS)
		head->map_capacity *= 2;
}

void
vmt_open_size(struct vmt_head *head, const struct vmt_config *config, uint32_t processors)
{
	uint64_t buffer = config->buffer_bytes;
	uint32_t limit = VMT_MAX_SHARDS;

	head->heap_capacity =
	    config->malloc_mode == VMT_MALLOC_ALL ? DEFAULT_HEAP_SLOTS_ALL : DEFAULT_HEAP_SLOTS;
	head->map_capacity = DEFAULT_MAP_SLOTS;
	if (config->scarce) {
		head->heap_capacity /= SCARCE_PART;
		head->map_capacity /= SCARCE_PART;
	}
	if (buffer != 0) {
		head->heap_capacity = ring_slots(buffer / 2, sizeof(struct vmt_heap_event));
		head->map_capacity = ring_slots(buffer / 2, sizeof(struct vmt_map_event));
		if (buffer < VMT_CONFIG_SMALL_BUFFER_BYTES)
			limit = SMALL_SHARDS;
	}
	head->shards = 1;
	while (head->shards < processors && head->shards < limit)
		head->shards *= 2;
	if (head->shards > VMT_FEW_SHARDS)
		head->features |= VMT_FEATURE_MANY_SHARDS;
	if (buffer == 0)
		share_slots(head);
	if (buffer == 0 && !config->scarce)
		hold_mappings(head, config->mappings_at_once);
	size_tables(head, config);
	vmt_assert((head->shards & (head->shards - 1)) == 0 && head->shards <= VMT_MAX_SHARDS);
	vmt_assert((head->heap_capacity & (head->heap_capacity - 1)) == 0);
	vmt_assert((head->map_capacity & (head->map_capacity - 1)) == 0);
	vmt_head_lay_out(head);
}

static void
put_template(struct vmt_text_out *out, const char *template, const char *name, uint32_t pid)
{
	for (; *template; template ++) {
		char next = template[0] == '%' ? template[1] : '\0';

		if (next == 'n')
			vmt_text_put(out, name);
		else if (next == 'p')
			vmt_text_put_decimal(out, pid);
		else
			vmt_text_put_bytes(out, template, 1);
		if (next == 'n' || next == 'p' || next == '%')
			template ++;
	}
}

static bool
names_pid(const char *template)
{
	for (; *template; template ++) {
		if (template[0] == '%' && template[1] == 'p')
			return true;
		if (template[0] == '%' && template[1] == '%')
			template ++;
	}
	return false;
}

/* A relative name is the present directory's: the collector's is another. */
static bool
put_directory(struct vmt_text_out *out)
{
	long length = vmt_sys_call2(SYS_getcwd, out->at, out->end - out->at);

	if (length < 2 || *out->at != '/')
		return false;
	vmt_assert(length <= out->end - out->at);
	out->at += length - 1;
	if (out->at[-1] != '/')
		vmt_text_put(out, "/");
	return true;
}

bool
vmt_open_path(char *path, size_t room, const struct vmt_config *config, const char *name,
	      uint32_t pid, uint32_t attempt)
{
	static const char extension[] = ".vmt";
	struct vmt_text_out out = vmt_text_out_begin(path, room);
	bool has_pid = names_pid(config->output);

	if (config->output[0] != '/' && !put_directory(&out))
		return false;
	put_template(&out, config->output, name, pid);
	if (attempt == 0 || out.overflow)
		return !out.overflow;
	if (out.at - path > 4 && memcmp(out.at - 4, extension, 4) == 0)
		out.at -= 4;
	if (!has_pid) {
		vmt_text_put(&out, ".");
		vmt_text_put_decimal(&out, pid);
		attempt--;
	}
	if (attempt > 0) {
		vmt_text_put(&out, ".");
		vmt_text_put_decimal(&out, attempt);
	}
	vmt_text_put(&out, extension);
	return !out.overflow;
}

static bool
is_directory(const char *path)
{
	struct stat status;

	return vmt_sys_call4(SYS_newfstatat, AT_FDCWD, path, &status, 0) == 0 &&
	       S_ISDIR(status.st_mode);
}

/* In whose mount namespace a fork child opens its trace: its parent's, where that has made children
 * in others. A program that loads no library may have entered another by a call that nobody sees,
 * too. 0 = in its own. */
static uint32_t
owner_of_mounts(void)
{
	const struct vmt_head *parent = vmt_recording.head;

	if (parent && parent->notes & VMT_NOTE_INJECTED)
		return parent->pid;
	return vmt_atomic_load_relaxed(&vmt_recording.mounts_of);
}

/* A mapped file holds the mount that it was opened in. A child in a mount namespace of its own
 * opens it in its parent's, where it may look there: it may leave its own again. The /proc of
 * another pid namespace has another process by the parent's number. */
static int
open_in_parents_mounts(const char *path)
{
	static VMT_ROOMY char there[VMT_SESSION_PATH_BYTES + 64];
	struct vmt_text_out out = vmt_text_out_begin(there, sizeof(there));
	uint32_t parent = owner_of_mounts();

	if (parent == 0 || parent != (uint32_t)vmt_sys_call0(SYS_getppid) ||
	    vmt_procfs_own_number() != (uint32_t)vmt_sys_call0(SYS_getpid))
		return -ESRCH;
	vmt_text_put(&out, "/proc/");
	vmt_text_put_decimal(&out, parent);
	vmt_text_put(&out, "/root");
	vmt_text_put(&out, path);
	if (out.overflow)
		return -ENAMETOOLONG;
	return vmt_sys_open(there, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
}

static int
open_new(const char *path)
{
	int fd = open_in_parents_mounts(path);

	if (fd >= 0 || fd == -EEXIST)
		return fd;
	return vmt_sys_open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
}

/* Makes a file that was not there before. A name beside a directory is not what was meant by the
 * directory's. Descriptor or negative errno. */
static int
make_file(const char *name, uint32_t pid)
{
	struct vmt_recording *process = &vmt_recording;
	int fd = -ENAMETOOLONG;

	for (uint32_t attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
		if (!vmt_open_path(process->trace_path, sizeof(process->trace_path), &vmt_config,
				   name, pid, attempt))
			return -ENAMETOOLONG;
		fd = open_new(process->trace_path);
		if (fd == -EEXIST && attempt == 0 && is_directory(process->trace_path))
			fd = -EISDIR;
		if (fd != -EEXIST)
			break;
	}
	return fd;
}

static const char *
base_name(const char *path)
{
	const char *name = path;

	for (; *path; path++)
		if (*path == '/')
			name = path + 1;
	return name;
}

/* Until the collector has taken up the head that lies aside, the trace says whose it is. */
static long
map_aside(int fd, struct vmt_head *plan, void **base)
{
	long result = vmt_shm_fallback_make(plan->pid, plan->random_id, plan->chunks_offset, base);

	if (result < 0)
		return result;
	plan->notes |= VMT_NOTE_BUFFERED;
	result = vmt_sys_call4(SYS_pwrite64, fd, plan, sizeof(*plan), 0);
	if (result == (long)sizeof(*plan))
		return 0;
	vmt_sys_munmap(*base, plan->chunks_offset);
	vmt_shm_fallback_remove(plan->pid, plan->random_id);
	return result < 0 ? result : -EIO;
}

/* Of the stack table's words, so many have memory, where the file is one in memory. */
static uint64_t backed_words;
static bool words_are_left_out;

/* In steps, so that few calls are made. Several threads may do the same. */
static bool
back_words(uint64_t words)
{
	const struct vmt_stack_table *table = &vmt_recording.stacks;
	uint64_t before = vmt_atomic_load_acquire(&backed_words);
	uint64_t end = (words + BACKED_STEP_WORDS - 1) / BACKED_STEP_WORDS * BACKED_STEP_WORDS;

	vmt_assert(words <= table->words_count);
	if (end > table->words_count)
		end = table->words_count;
	if (before >= end)
		return true;
	if (!vmt_guard_syscalls_allowed() ||
	    vmt_prealloc_back(table->words + before, (end - before) * sizeof(uint64_t)) < 0)
		return false;
	while (before < end && !vmt_atomic_cas(&backed_words, &before, end))
		;
	return true;
}

void
vmt_open_provide_stacks(void)
{
	if (vmt_recording.stacks.backed_words)
		(void)back_words(vmt_recording.stacks.words_count);
}

static bool
has_filter(void)
{
	return vmt_sys_call6(SYS_prctl, PR_GET_SECCOMP, 0, 0, 0, 0, 0) != 0;
}

/* Maps a new file of the head's size, or what stands in for it. Negative errno on failure, with no
 * file left behind. */
static long
map_file(struct vmt_head *plan, void **base)
{
	uint64_t bytes = plan->chunks_offset;
	int fd = make_file(plan->exe[0] ? base_name(plan->exe) : "unknown", plan->pid);
	long result;

	if (fd < 0)
		return fd;
	vmt_recording.is_filtered = has_filter();
	if (vmt_recording.is_filtered)
		result = vmt_prealloc_map(fd, bytes, base);
	else
		result = vmt_prealloc_map_around(
		    fd, bytes, plan->stack_words_offset + BACKED_STEP_WORDS * sizeof(uint64_t),
		    plan->modules_offset, base, &words_are_left_out);
	if (vmt_shm_fallback_is_wanted(result))
		result = map_aside(fd, plan, base);
	vmt_sys_close(fd);
	if (result != 0)
		vmt_sys_call3(SYS_unlinkat, AT_FDCWD, vmt_recording.trace_path, 0);
	return result;
}

static uint32_t
count_processors(void)
{
	uint64_t mask[128] = {0};
	long bytes = vmt_sys_call3(SYS_sched_getaffinity, 0, sizeof(mask), mask);
	uint32_t count = 0;

	for (long i = 0; i < bytes / 8; i++)
		count += (uint32_t)__builtin_popcountll(mask[i]);
	return count ? count : 1;
}

static long
read_whole(const char *path, char *buffer, size_t length)
{
	int fd = vmt_sys_open(path, O_RDONLY, 0);
	long result;

	if (fd < 0)
		return fd;
	result = vmt_procfs_read_once(fd, buffer, length);
	vmt_sys_close(fd);
	return result;
}

static uint64_t
random_id(void)
{
	uint64_t number = 0;

	if (vmt_sys_call3(SYS_getrandom, &number, sizeof(number), 1 /* GRND_NONBLOCK */) !=
	    sizeof(number))
		number = vmt_clock_before() * UINT64_C(0x9e3779b97f4a7c15) ^
			 (uint64_t)vmt_sys_call0(SYS_getpid);
	return number ? number : 1;
}

static void
describe_process(struct vmt_head *head)
{
	const struct vmt_head *parent = vmt_recording.head;
	struct vmt_procfs_stat stat;
	char text[1024];
	long length = read_whole("/proc/self/stat", text, sizeof(text));

	head->pid = (uint32_t)vmt_sys_call0(SYS_getpid);
	head->parent_pid = (uint32_t)vmt_sys_call0(SYS_getppid);
	if (length > 0 && vmt_procfs_parse_stat(text, (size_t)length, &stat)) {
		head->start_ticks = stat.start_ticks;
		vmt_recording.stack_start = stat.stack_start;
		memcpy(head->name, stat.name, sizeof(head->name));
	}
	if (parent) { /* of a fork child, which is the same program */
		memcpy(head->boot_id, parent->boot_id, sizeof(head->boot_id));
		memcpy(head->exe, parent->exe, sizeof(head->exe));
	} else {
		vmt_procfs_boot_id(head->boot_id);
		vmt_sys_call4(SYS_readlinkat, AT_FDCWD, "/proc/self/exe", head->exe,
			      sizeof(head->exe) - 1);
	}
	head->random_id = random_id();
	head->start_unix_ns = vmt_sys_clock_ns(CLOCK_REALTIME);
	head->start_peak_rss_bytes = vmt_sys_peak_rss_bytes();
	if (!vmt_config.cmdline)
		return;
	length = read_whole("/proc/self/cmdline", head->cmdline, sizeof(head->cmdline));
	head->cmdline_bytes = length > 0 ? (uint32_t)length : 0;
}

static void
describe_recording(struct vmt_head *head)
{
	const struct vmt_recording *process = &vmt_recording;

	head->page_bytes = (uint32_t)vmt_page_bytes;
	head->clock = vmt_clock_is_tsc ? VMT_CLOCK_TSC : VMT_CLOCK_MONOTONIC;
	head->malloc_mode = vmt_config.malloc_mode;
	head->malloc_sample_bytes =
	    head->malloc_mode == VMT_MALLOC_SAMPLED ? vmt_config.malloc_sample_bytes : 0;
	head->stack_mode = process->stack_mode;
	head->stack_depth = vmt_config.stack_depth;
	head->features = VMT_FEATURE_STACKS_SHARED | VMT_FEATURE_DISCARDS_TOLD;
	head->notes |= vmt_config.follow_fork ? 0 : VMT_NOTE_NO_FORKS;
	head->notes |= vmt_config.touch_period == VMT_PERIOD_OFF ? 0 : VMT_NOTE_TOUCH_WANTED;
	head->tracer_address = (uint64_t)(uintptr_t)__ehdr_start;
	head->clock_start.monotonic_ns = vmt_sys_clock_ns(CLOCK_MONOTONIC);
	head->clock_start.ticks = vmt_clock_after();
}

static void
use_head(struct vmt_head *head, unsigned char *base)
{
	struct vmt_recording *process = &vmt_recording;

	for (uint32_t shard = 0; shard < head->shards; shard++) {
		for (uint32_t kind = 0; kind < VMT_RING_CLASSES; kind++)
			process->rings[shard][kind] =
			    vmt_head_ring(head, base, shard, (enum vmt_ring_class)kind);
	}
	process->shard_mask = head->shards - 1;
	vmt_emit_begin_trace();
	process->stacks = (struct vmt_stack_table){
	    .index = (uint64_t *)(void *)(base + head->stack_index_offset),
	    .index_mask = head->stack_index_entries - 1,
	    .words = (uint64_t *)(void *)(base + head->stack_words_offset),
	    .words_count = head->stack_words,
	    .words_used = &head->stack_words_used,
	    .dropped = &head->stacks_dropped,
	    .backed_words = words_are_left_out ? &backed_words : NULL,
	    .back = back_words,
	};
	backed_words = BACKED_STEP_WORDS;
	process->head = head;
	process->head_mapped_bytes = head->chunks_offset;
}

/* Only now, when there is a whole head, does the earlier trace of the wanted name go; whatever
 * hinders that, the new one keeps the name that was free. */
static void
replace_earlier(const struct vmt_head *head)
{
	static VMT_ROOMY char
	    wanted[VMT_SESSION_PATH_BYTES]; /* as the plan: large, one opener at a time */
	struct vmt_recording *process = &vmt_recording;
	uint64_t inode =
	    process->session ? vmt_atomic_load_relaxed(&process->session->replaced_inode) : 0;
	struct stat earlier;

	if (inode == 0 || !vmt_open_path(wanted, sizeof(wanted), &vmt_config, "", head->pid, 0) ||
	    vmt_sys_call4(SYS_newfstatat, AT_FDCWD, wanted, &earlier, AT_SYMLINK_NOFOLLOW) < 0 ||
	    earlier.st_ino != inode ||
	    !vmt_atomic_cas(&process->session->replaced_inode, &inode, 0))
		return;
	if (vmt_sys_call4(SYS_renameat, AT_FDCWD, process->trace_path, AT_FDCWD, wanted) == 0)
		memcpy(process->trace_path, wanted, sizeof(wanted));
}

const char *
vmt_open_trace(void)
{
	static VMT_ROOMY struct vmt_head plan; /* large for a signal stack; one opener at a time */
	unsigned char *base;
	void *mapped = NULL;
	uint64_t magic;
	long result;

	memset(&plan, 0, sizeof(plan));
	describe_process(&plan);
	describe_recording(&plan);
	vmt_open_size(&plan, &vmt_config, count_processors());
	result = map_file(&plan, &mapped);
	if (result != 0)
		return vmt_open_error_of_file(result, vmt_recording.trace_path);
	base = mapped;
	memcpy(base + sizeof(magic), (const unsigned char *)&plan + sizeof(magic),
	       sizeof(plan) - sizeof(magic));
	use_head((struct vmt_head *)(void *)base, base);
	/* Last: whoever is killed before it leaves a file that no reader takes for a trace. */
	memcpy(&magic, plan.magic, sizeof(magic));
	vmt_atomic_store_release((uint64_t *)(void *)base, magic);
	replace_earlier(vmt_recording.head);
	return NULL;
}

const char *
vmt_open_announce(void)
{
	struct vmt_recording *process = &vmt_recording;
	struct vmt_head *head = process->head;

	if (process->session)
		process->slot = vmt_session_announce(process->session, head->pid, head->random_id,
						     process->trace_path);
	if (process->slot)
		return NULL;
	process->session = NULL;
	head->notes |= VMT_NOTE_NO_COLLECTOR;
	if (!(head->notes & VMT_NOTE_BUFFERED))
		return NULL;
	vmt_shm_fallback_remove(head->pid, head->random_id);
	vmt_sys_call3(SYS_unlinkat, AT_FDCWD, process->trace_path, 0);
	return vmt_open_error_of_file(0, process->trace_path);
}

void
vmt_open_await_collector(void)
{
	const struct timespec pause = {0, AWAIT_PAUSE_NS};
	struct vmt_head *head = vmt_recording.head;
	uint64_t until_ns = vmt_ticks_monotonic_ns() + AWAIT_NS;

	if (vmt_config.touch_period == VMT_PERIOD_OFF || vmt_config.touch_period == VMT_PERIOD_AUTO)
		return;
	while (vmt_recording.slot && vmt_atomic_load_acquire(&head->collector_pid) == 0 &&
	       !vmt_atomic_load_relaxed(&vmt_recording.session->crowded) &&
	       vmt_ticks_monotonic_ns() < until_ns)
		vmt_sys_call4(SYS_futex, &head->collector_pid, FUTEX_WAIT, 0, &pause);
}

void
vmt_open_leave(void)
{
	const struct vmt_recording *process = &vmt_recording;
	const struct vmt_head *head = process->head;

	if (head->notes & VMT_NOTE_BUFFERED && process->slot &&
	    !vmt_session_is_announced(process->slot, head->random_id) &&
	    vmt_atomic_load_relaxed(&head->collector_pid) == 0)
		vmt_shm_fallback_remove(head->pid, head->random_id);
}
