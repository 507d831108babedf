#include "capture/trace/open.h"

#include "base/sys.h"
#include "capture/core/config.h"
#include "capture/core/guard.h"
#include "capture/trace/initial_maps.h"
#include "format/event.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char directory[64];

static int
set_up(void **state)
{
	char *const empty[] = {NULL};

	(void)state;
	strcpy(directory, "/tmp/vmt-open-XXXXXX");
	assert_non_null(mkdtemp(directory));
	assert_int_equal(chdir(directory), 0);
	memset(&vmt_recording, 0, sizeof(vmt_recording));
	vmt_guard = (struct vmt_guard){.no_syscalls = false};
	vmt_own_memory = (struct vmt_own_memory){.count = 0};
	vmt_config.stack_depth = 30;
	assert_null(vmt_config_read(&vmt_config, empty));
	vmt_config.buffer_bytes = 8192;
	return vmt_guard_set_up() ? 0 : -1;
}

static int
tear_down(void **state)
{
	char command[128];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf %s", directory);
	return chdir("/") || system(command);
}

static void
expect_path(const char *output, uint32_t attempt, const char *expected)
{
	char path[256];

	strcpy(vmt_config.output, output);
	assert_true(vmt_open_path(path, sizeof(path), &vmt_config, "name", 42, attempt));
	assert_string_equal(path, expected);
}

static void
templates(void **state)
{
	char expected[256];

	(void)state;
	expect_path("/d/vmtrace.%n.%p.vmt", 0, "/d/vmtrace.name.42.vmt");
	expect_path("/d/100%%.%x%p", 0, "/d/100%.%x42");
	expect_path("/d/out", 0, "/d/out");
	snprintf(expected, sizeof(expected), "%s/a.name.vmt", directory);
	expect_path("a.%n.vmt", 0, expected);
}

static void
taken_names_get_another_suffix(void **state)
{
	(void)state;
	expect_path("/d/x.%p.vmt", 1, "/d/x.42.1.vmt");
	expect_path("/d/x.%p.vmt", 2, "/d/x.42.2.vmt");
	expect_path("/d/x.vmt", 1, "/d/x.42.vmt");
	expect_path("/d/x.vmt", 2, "/d/x.42.1.vmt");
	expect_path("/d/x", 1, "/d/x.42.vmt");
	expect_path("/d/%%p", 1, "/d/%p.42.vmt");
}

static void
paths_that_do_not_fit_are_refused(void **state)
{
	char path[16];

	(void)state;
	strcpy(vmt_config.output, "/d/0123456789abcdef");
	assert_false(vmt_open_path(path, sizeof(path), &vmt_config, "name", 42, 0));
	strcpy(vmt_config.output, "/d/01234567");
	assert_true(vmt_open_path(path, sizeof(path), &vmt_config, "name", 42, 0));
	assert_false(vmt_open_path(path, sizeof(path), &vmt_config, "name", 42, 1));
}

static void
sizes_follow_mode_and_buffer(void **state)
{
	struct vmt_head head = {0};

	(void)state;
	vmt_config.buffer_bytes = 0;
	vmt_open_size(&head, &vmt_config, 3);
	assert_int_equal(head.shards, 4);
	assert_int_equal(head.heap_capacity, 4096);
	assert_int_equal(head.map_capacity, 2048);
	assert_int_equal(head.stack_words, 256 << 10);
	vmt_config.malloc_mode = VMT_MALLOC_ALL;
	vmt_open_size(&head, &vmt_config, 16);
	assert_int_equal(head.shards, 16);
	assert_int_equal(head.heap_capacity, 32768 * 4 / 16);
	assert_int_equal(head.map_capacity, 2048 * 4 / 16);
	assert_int_equal(head.stack_words, 1 << 20);
	vmt_config.buffer_bytes = 8192;
	vmt_open_size(&head, &vmt_config, 64);
	assert_true(head.chunks_offset < 65536);
	assert_int_equal(head.heap_capacity, 128);
	assert_int_equal(head.map_capacity, 64);
	vmt_config.buffer_bytes = 1024;
	vmt_open_size(&head, &vmt_config, 1);
	assert_int_equal(head.shards, 1);
	assert_in_range(head.map_capacity, 8, 16);
}

/* Rings of many CPUs get fewer slots, down to an eighth; the head says that older readers can't
 * read them. */
static void
many_processors_have_rings_of_their_own(void **state)
{
	struct vmt_head head = {0};

	(void)state;
	vmt_config.buffer_bytes = 0;
	vmt_config.malloc_mode = VMT_MALLOC_ALL;
	vmt_open_size(&head, &vmt_config, 16);
	assert_int_equal(head.features & VMT_FEATURE_MANY_SHARDS, 0);
	vmt_open_size(&head, &vmt_config, 17);
	assert_int_equal(head.shards, 32);
	assert_int_equal(head.heap_capacity, 32768 / 8);
	assert_int_equal(head.map_capacity, 2048 / 8);
	assert_int_equal(head.features & VMT_FEATURE_MANY_SHARDS, VMT_FEATURE_MANY_SHARDS);
	vmt_open_size(&head, &vmt_config, 256);
	assert_int_equal(head.shards, 64);
	assert_int_equal(head.heap_capacity, 32768 / 8);
	assert_int_equal(head.map_capacity, 2048 / 8);
	vmt_config.mappings_at_once = 5000;
	vmt_open_size(&head, &vmt_config, 256);
	assert_int_equal(head.map_capacity, (1 << 18) / 64);
	vmt_open_size(&head, &vmt_config, 2);
	assert_int_equal(head.map_capacity, 8192);
	vmt_config.mappings_at_once = 0;
	vmt_config.scarce = true;
	vmt_open_size(&head, &vmt_config, 256);
	assert_int_equal(head.heap_capacity, 32768 / 8 / 4);
	assert_int_equal(head.map_capacity, 2048 / 8 / 4);
	vmt_config.scarce = false;
	vmt_config.malloc_mode = VMT_MALLOC_SAMPLED;
}

static int
lowest_free_descriptor(void)
{
	int fd = dup(0);

	close(fd);
	return fd;
}

static void
the_file_is_new_private_and_whole(void **state)
{
	struct vmt_recording *process = &vmt_recording;
	int lowest_before = lowest_free_descriptor();
	struct stat status;

	(void)state;
	assert_null(vmt_open_trace());
	assert_null(vmt_head_check(process->head));
	assert_int_equal(stat(process->trace_path, &status), 0);
	assert_int_equal(status.st_mode, S_IFREG | 0600);
	assert_int_equal(status.st_size, process->head->chunks_offset);
	assert_true((uint64_t)status.st_blocks * 512 >= process->head->chunks_offset);
	assert_int_equal(process->head->pid, getpid());
	assert_int_not_equal(process->head->random_id, 0);
	assert_int_not_equal(process->head->start_ticks, 0);
	assert_non_null(strstr(process->head->exe, "/test_preload_open"));
	assert_int_equal(lowest_free_descriptor(), lowest_before);
}

static void
nothing_is_overwritten(void **state)
{
	char first[VMT_SESSION_PATH_BYTES];
	char expected[128];

	(void)state;
	strcpy(vmt_config.output, "t.vmt");
	assert_int_equal(symlink("/nowhere/at/all", "t.vmt"), 0);
	assert_null(vmt_open_trace());
	snprintf(expected, sizeof(expected), "%s/t.%d.vmt", directory, (int)getpid());
	assert_string_equal(vmt_recording.trace_path, expected);
	strcpy(first, vmt_recording.trace_path);
	assert_null(vmt_open_trace());
	assert_string_not_equal(vmt_recording.trace_path, first);
}

static ino_t
make_earlier(const char *name)
{
	struct stat status;
	FILE *file = fopen(name, "w");

	assert_non_null(file);
	fclose(file);
	assert_int_equal(stat(name, &status), 0);
	return status.st_ino;
}

/* By the first that is whole, and by no other; what is not the file that was meant stays. */
static void
what_the_session_names_is_replaced(void **state)
{
	static struct vmt_session session;
	struct vmt_recording *process = &vmt_recording;
	char wanted[128];
	struct stat status;
	ino_t earlier = make_earlier("t.vmt");
	ino_t first;

	(void)state;
	process->session = &session;
	snprintf(wanted, sizeof(wanted), "%s/t.vmt", directory);
	strcpy(vmt_config.output, "t.vmt");
	session.replaced_inode = earlier + 1;
	assert_null(vmt_open_trace());
	assert_string_not_equal(process->trace_path, wanted);
	assert_int_equal(stat(wanted, &status), 0);
	assert_int_equal(status.st_ino, earlier);

	session.replaced_inode = earlier;
	assert_null(vmt_open_trace());
	assert_string_equal(process->trace_path, wanted);
	assert_int_equal(session.replaced_inode, 0);
	assert_int_equal(stat(wanted, &status), 0);
	assert_int_equal(status.st_size, process->head->chunks_offset);
	first = status.st_ino;

	assert_null(vmt_open_trace());
	assert_string_not_equal(process->trace_path, wanted);
	assert_int_equal(stat(wanted, &status), 0);
	assert_int_equal(status.st_ino, first);
}

static void
failures_have_reasons_and_leave_no_file(void **state)
{
	struct rlimit before;
	struct rlimit small = {4096, 0};
	const char *why;

	(void)state;
	strcpy(vmt_config.output, "no/such/directory.vmt");
	why = vmt_open_trace();
	assert_non_null(strstr(why, "does not exist"));
	assert_non_null(strstr(why, "/no/such/directory.vmt"));
	assert_int_equal(mkdir("taken", 0700), 0);
	strcpy(vmt_config.output, "taken");
	why = vmt_open_trace();
	assert_non_null(strstr(why, "is a directory"));
	assert_non_null(strstr(why, "/taken"));
	strcpy(vmt_config.output, "taken/");
	assert_non_null(strstr(vmt_open_trace(), "is a directory"));
	strcpy(vmt_config.output, "limited.vmt");
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	small.rlim_max = before.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	assert_non_null(strstr(vmt_open_trace(), "ulimit -f"));
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	assert_int_equal(access("limited.vmt", F_OK), -1);
}

/* Reads PRESENT events back: whether all of [start, end) was written, as `what`. */
static uint64_t
bytes_present(uint64_t start, uint64_t end, uint64_t what)
{
	uint64_t bytes = 0;

	for (uint32_t shard = 0; shard <= vmt_recording.shard_mask; shard++) {
		const struct vmt_ring_view *ring = &vmt_recording.rings[shard][VMT_RING_MAP];

		for (uint64_t at = 0; at < ring->control->head; at++) {
			const struct vmt_map_event *event = (void *)vmt_ring_sequence(ring, at);
			uint64_t low = event->address > start ? event->address : start;
			uint64_t high = event->address + event->length;

			if (high > end)
				high = end;
			if (event->kind == VMT_EVENT_PRESENT && event->argument_b == what &&
			    low < high)
				bytes += high - low;
		}
	}
	return bytes;
}

/* Neighbours that the kernel shows as one mapping come as two: the program's and the tracer's. */
static void
present_tells_the_tracers_memory_apart(void **state)
{
	const size_t length = 1 << 20;
	unsigned char *area = mmap(NULL, length, PROT_READ | PROT_WRITE,
				   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	uint64_t start = (uint64_t)(uintptr_t)area;
	int on_stack = 0;
	struct vmt_own_range *own = &vmt_own_memory.ranges[vmt_own_memory.count++];

	(void)state;
	assert_ptr_not_equal(area, MAP_FAILED);
	*own = (struct vmt_own_range){start + 0x4000, start + 0x8000};
	vmt_config.buffer_bytes = 1 << 20;
	assert_null(vmt_open_trace());
	vmt_thread_mine()->depth = 1; /* as inside a hook */
	vmt_initial_maps_write();
	assert_int_equal(bytes_present(start, start + length, 3), 0x4000);
	assert_int_equal(bytes_present(start + 0x4000, start + 0x8000, 3), 0x4000);
	assert_int_equal(bytes_present(start, start + length, 0), length - 0x4000);
	assert_int_equal(
	    bytes_present((uint64_t)(uintptr_t)&on_stack, (uint64_t)(uintptr_t)&on_stack + 1, 2),
	    1);
	vmt_thread_mine()->depth = 0;
	munmap(area, length);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(templates),
	    TEST(taken_names_get_another_suffix),
	    TEST(paths_that_do_not_fit_are_refused),
	    TEST(sizes_follow_mode_and_buffer),
	    TEST(many_processors_have_rings_of_their_own),
	    TEST(the_file_is_new_private_and_whole),
	    TEST(nothing_is_overwritten),
	    TEST(what_the_session_names_is_replaced),
	    TEST(failures_have_reasons_and_leave_no_file),
	    TEST(present_tells_the_tracers_memory_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
