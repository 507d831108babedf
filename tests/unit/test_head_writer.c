#include "tests/unit/trace_fixture.h"

#include "base/shm_fallback.h"
#include "collect/drain.h"
#include "collect/head_writer.h"
#include "format/stack_table.h"

#include <errno.h>

#define CAPACITY 64u

struct scene {
	char path[32];
	struct fixture_trace trace; /* the head, as its process has it */
	int fd;			    /* the trace file */
	struct vmt_drain drain;
	struct vmt_head_writer head_writer;
};

static int
set_up(void **state)
{
	struct scene *scene = calloc(1, sizeof(*scene));

	assert_non_null(scene);
	strcpy(scene->path, "/tmp/vmt-head-XXXXXX");
	assert_non_null(mkdtemp(scene->path));
	strcat(scene->path, "/a.vmt");
	fixture_make(&scene->trace, scene->path, CAPACITY, 7);
	scene->fd = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	assert_true(scene->fd >= 0);
	assert_int_equal(ftruncate(scene->fd, (off_t)scene->trace.head->chunks_offset), 0);
	vmt_drain_open(&scene->drain, scene->trace.head, scene->trace.base);
	scene->head_writer = (struct vmt_head_writer){.fd = scene->fd,
						      .layout = scene->trace.head,
						      .base = scene->trace.base,
						      .drain = &scene->drain};
	assert_int_equal(vmt_head_writer_open(&scene->head_writer), 0);
	*state = scene;
	return 0;
}

static int
tear_down(void **state)
{
	struct scene *scene = *state;

	vmt_head_writer_close(&scene->head_writer);
	fixture_close(&scene->trace);
	close(scene->fd);
	unlink(scene->path);
	*strrchr(scene->path, '/') = '\0';
	assert_int_equal(rmdir(scene->path), 0);
	free(scene);
	return 0;
}

static unsigned char *
read_file(const struct scene *scene)
{
	size_t bytes = scene->trace.head->chunks_offset;
	unsigned char *read = malloc(bytes);

	assert_non_null(read);
	assert_int_equal(pread(scene->fd, read, bytes, 0), bytes);
	return read;
}

static uint32_t
put_stack(const struct scene *scene, uint64_t frame)
{
	struct vmt_head *head = scene->trace.head;
	struct vmt_stack_table table = {
	    .index = (uint64_t *)(void *)(scene->trace.base + head->stack_index_offset),
	    .index_mask = head->stack_index_entries - 1,
	    .words = (uint64_t *)(void *)(scene->trace.base + head->stack_words_offset),
	    .words_count = head->stack_words,
	    .words_used = &head->stack_words_used,
	    .dropped = &head->stacks_dropped,
	};

	return vmt_stack_table_intern(&table, &frame, 1);
}

static bool
has_stack(const struct scene *scene, const unsigned char *read, uint32_t id, uint64_t frame)
{
	const struct vmt_head *head = (const struct vmt_head *)(const void *)read;
	const uint64_t *words = (const uint64_t *)(const void *)(read + head->stack_words_offset);
	uint64_t found[VMT_STACK_MAX_FRAMES];

	return vmt_stack_table_read(words, scene->trace.head->stack_words, id, found) == 1 &&
	       found[0] == frame && head->stack_words_used > id;
}

static uint64_t
ring_head(const unsigned char *read, uint32_t ring)
{
	const struct vmt_head *head = (const struct vmt_head *)(const void *)read;
	const struct vmt_ring *controls =
	    (const struct vmt_ring *)(const void *)(read + head->controls_offset);

	return controls[ring].head;
}

static void
writes_what_chunks_refer_to_and_no_more(void **state)
{
	struct scene *scene = *state;
	uint32_t first = put_stack(scene, 0x1111);

	assert_int_equal(vmt_head_writer_write(&scene->head_writer), 0);
	uint32_t second = put_stack(scene, 0x2222);

	assert_true(fixture_put_heap(&scene->trace, 0, 1, 0x1000, VMT_EVENT_MALLOC));
	assert_int_equal(vmt_head_writer_write(&scene->head_writer), 0);
	unsigned char *read = read_file(scene);

	assert_null(vmt_head_check((const struct vmt_head *)(const void *)read));
	assert_true(has_stack(scene, read, first, 0x1111));
	assert_true(has_stack(scene, read, second, 0x2222));
	/* The event is in no chunk yet, and its slot is not in the file. */
	assert_int_equal(ring_head(read, 0), 0);
	free(read);
	scene->drain.rings[0].debt.filed = 1;
	assert_int_equal(vmt_head_writer_write(&scene->head_writer), 0);
	read = read_file(scene);
	assert_int_equal(ring_head(read, 0), 1);
	free(read);
}

/* A stack's words are taken before they are written: a look may come in between. */
static void
writes_words_that_come_late(void **state)
{
	struct scene *scene = *state;
	struct vmt_head *head = scene->trace.head;
	uint32_t id = put_stack(scene, 0x3333);
	uint64_t *words = (uint64_t *)(void *)(scene->trace.base + head->stack_words_offset);
	uint64_t record = words[id];

	words[id] = 0;
	assert_int_equal(vmt_head_writer_write(&scene->head_writer), 0);
	words[id] = record;
	assert_int_equal(vmt_head_writer_write(&scene->head_writer), 0);
	unsigned char *read = read_file(scene);

	assert_true(has_stack(scene, read, id, 0x3333));
	free(read);
}

static void
writes_again_what_failed(void **state)
{
	struct scene *scene = *state;
	uint32_t id = put_stack(scene, 0x4444);

	scene->head_writer.fd = -1;
	assert_int_equal(vmt_head_writer_write(&scene->head_writer), -EBADF);
	scene->head_writer.fd = scene->fd;
	assert_int_equal(vmt_head_writer_write(&scene->head_writer), 0);
	unsigned char *read = read_file(scene);

	assert_true(has_stack(scene, read, id, 0x4444));
	free(read);
}

static void
leaves_at_the_end_what_the_rings_hold(void **state)
{
	struct scene *scene = *state;

	for (uint64_t i = 0; i < 5; i++)
		assert_true(fixture_put_heap(&scene->trace, 1, i, 0x1000 * i, VMT_EVENT_MALLOC));
	assert_int_equal(vmt_head_writer_write(&scene->head_writer), 0);
	assert_int_equal(vmt_head_writer_finish(&scene->head_writer), 0);
	unsigned char *read = read_file(scene);
	struct vmt_ring_view view = vmt_head_ring(scene->trace.head, read, 1, VMT_RING_HEAP);

	assert_int_equal(view.control->head, 5);
	for (uint64_t i = 0; i < 5; i++)
		assert_int_equal(vmt_ring_look(&view, i), VMT_RING_COMMITTED);
	free(read);
}

static void
finds_a_head_aside_by_pid_and_id(void **state)
{
	void *base = NULL;

	(void)state;
	assert_true(vmt_shm_fallback_is_wanted(-ENODEV));
	assert_true(vmt_shm_fallback_is_wanted(-EINVAL));
	assert_false(vmt_shm_fallback_is_wanted(-ENOSPC));
	assert_false(vmt_shm_fallback_is_wanted(0));
	assert_int_equal(vmt_shm_fallback_make((uint32_t)getpid(), 99, 8192, &base), 0);
	memcpy(base, "here", 5);
	int fd = vmt_shm_fallback_open((uint32_t)getpid(), 99);
	char text[5] = "";

	assert_true(fd >= 0);
	assert_int_equal(pread(fd, text, sizeof(text), 0), sizeof(text));
	assert_string_equal(text, "here");
	close(fd);
	vmt_shm_fallback_remove((uint32_t)getpid(), 99);
	assert_int_equal(vmt_shm_fallback_open((uint32_t)getpid(), 99), -ENOENT);
	assert_int_equal(vmt_shm_fallback_open((uint32_t)getpid(), 98), -ENOENT);
	munmap(base, 8192);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(writes_what_chunks_refer_to_and_no_more, set_up,
					    tear_down),
	    cmocka_unit_test_setup_teardown(writes_words_that_come_late, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(writes_again_what_failed, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(leaves_at_the_end_what_the_rings_hold, set_up,
					    tear_down),
	    cmocka_unit_test(finds_a_head_aside_by_pid_and_id),
	};

	return cmocka_run_group_tests_name("head_writer", tests, NULL, NULL);
}
