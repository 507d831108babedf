/* What this process has mapped itself is told apart: each time one file, changed step by step. */
#include "format/head.h"
#include "tools/cmd/mapped_trace.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#define FILE_BYTES ((size_t)64 << 10)

static struct vmt_mapped_trace found;

static struct vmt_head *
map_file(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL, 0600);
	void *base;

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, FILE_BYTES), 0);
	base = mmap(NULL, FILE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_ptr_not_equal(base, MAP_FAILED);
	close(fd);
	return base;
}

static void
fill_head(struct vmt_head *head)
{
	head->pid = (uint32_t)getpid();
	head->page_bytes = 4096;
	head->shards = 1;
	head->heap_capacity = head->map_capacity = VMT_RING_MIN_CAPACITY;
	head->stack_index_entries = 64;
	head->stack_words = 64;
	head->modules_bytes = 64;
	vmt_head_lay_out(head);
	assert_null(vmt_head_check(head));
}

static enum vmt_mapped_trace_state
find(void)
{
	assert_int_equal(vmt_mapped_trace_find(&found, (uint32_t)getpid()), 0);
	assert_false(found.has_library);
	return found.state;
}

static void
a_head_tells_whose_it_is(void **state)
{
	char path[64];
	struct vmt_head *head;

	(void)state;
	snprintf(path, sizeof(path), "/tmp/vmt-mapped-%d.vmt", (int)getpid());
	assert_int_equal(find(), VMT_MAPPED_TRACE_NONE);
	head = map_file(path);
	assert_int_equal(find(), VMT_MAPPED_TRACE_NONE);
	fill_head(head);
	assert_int_equal(find(), VMT_MAPPED_TRACE_OWN);
	assert_string_equal(found.path, path);
	assert_false(found.is_aside);
	head->collected_end = VMT_END_STOPPED;
	assert_int_equal(find(), VMT_MAPPED_TRACE_ENDED);
	head->collected_end = VMT_END_RUNNING;
	head->end = VMT_END_STOPPED;
	assert_int_equal(find(), VMT_MAPPED_TRACE_ENDED);
	assert_string_equal(found.path, path);
	head->pid++;
	assert_int_equal(find(), VMT_MAPPED_TRACE_OTHER);
	assert_int_equal(found.owner_pid, getpid() + 1);
	head->shards = 3;
	assert_int_equal(find(), VMT_MAPPED_TRACE_UNREADABLE);
	assert_int_equal(found.error, EPROTO);
	head->magic[0] = 'X';
	assert_int_equal(find(), VMT_MAPPED_TRACE_NONE);
	/* No longer to be written: not how the library maps it. */
	fill_head(head);
	head->end = VMT_END_RUNNING;
	assert_int_equal(find(), VMT_MAPPED_TRACE_OWN);
	assert_int_equal(mprotect(head, FILE_BYTES, PROT_READ), 0);
	assert_int_equal(find(), VMT_MAPPED_TRACE_NONE);
	munmap(head, FILE_BYTES);
	unlink(path);
}

/* Without its name a file is found by who may see mapped files, and is never taken for none. */
static void
a_deleted_file_is_not_nothing(void **state)
{
	char path[64];
	struct vmt_head *head;

	(void)state;
	snprintf(path, sizeof(path), "/tmp/vmt-mapped-%d.vmt", (int)getpid());
	head = map_file(path);
	fill_head(head);
	unlink(path);
	if (find() == VMT_MAPPED_TRACE_UNREADABLE)
		assert_int_equal(found.error, ENOENT);
	else
		assert_int_equal(found.state, VMT_MAPPED_TRACE_OWN);
	assert_int_equal(strncmp(found.path, path, strlen(path)), 0);
	munmap(head, FILE_BYTES);
}

static void
a_head_aside_is_known_by_its_name(void **state)
{
	char path[64];
	struct vmt_head *head;

	(void)state;
	snprintf(path, sizeof(path), "/tmp/.vmtrace.%d.7.head", (int)getpid());
	head = map_file(path);
	unlink(path);
	assert_int_equal(find(), VMT_MAPPED_TRACE_OWN);
	assert_true(found.is_aside);
	munmap(head, FILE_BYTES);
	snprintf(path, sizeof(path), "/tmp/.vmtrace.%d.7.head", (int)getppid());
	head = map_file(path);
	unlink(path);
	assert_int_equal(find(), VMT_MAPPED_TRACE_OTHER);
	assert_int_equal(found.owner_pid, getppid());
	munmap(head, FILE_BYTES);
}

/* Memory that is shared, but is no file of a file system. */
static void
shared_memory_is_no_trace(void **state)
{
	void *memory =
	    mmap(NULL, FILE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int fd = memfd_create("shared", MFD_CLOEXEC);
	struct vmt_head *head;

	(void)state;
	assert_int_equal(ftruncate(fd, FILE_BYTES), 0);
	head = mmap(NULL, FILE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_ptr_not_equal(head, MAP_FAILED);
	fill_head(head);
	assert_int_equal(find(), VMT_MAPPED_TRACE_NONE);
	munmap(head, FILE_BYTES);
	munmap(memory, FILE_BYTES);
	close(fd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_head_tells_whose_it_is),
	    cmocka_unit_test(a_deleted_file_is_not_nothing),
	    cmocka_unit_test(a_head_aside_is_known_by_its_name),
	    cmocka_unit_test(shared_memory_is_no_trace),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
