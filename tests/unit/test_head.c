#include "format/head.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct vmt_head
sample(void)
{
	struct vmt_head head;

	memset(&head, 0, sizeof(head));
	head.page_bytes = 4096;
	head.shards = 4;
	head.heap_capacity = 64;
	head.map_capacity = 16;
	head.stack_index_entries = 1024;
	head.stack_words = 5000;
	head.modules_bytes = 8192;
	vmt_head_lay_out(&head);
	return head;
}

/* docs/trace-format.md gives these numbers to writers of other readers. */
static void
test_offsets_are_the_documented_ones(void **state)
{
	(void)state;
	assert_int_equal(offsetof(struct vmt_head, version), 8);
	assert_int_equal(offsetof(struct vmt_head, pid), 24);
	assert_int_equal(offsetof(struct vmt_head, exe), 80);
	assert_int_equal(offsetof(struct vmt_head, cmdline), 592);
	assert_int_equal(offsetof(struct vmt_head, clock), 1624);
	assert_int_equal(offsetof(struct vmt_head, shards), 1672);
	assert_int_equal(offsetof(struct vmt_head, controls_offset), 1688);
	assert_int_equal(offsetof(struct vmt_head, chunks_offset), 1752);
	assert_int_equal(offsetof(struct vmt_head, name), 1760);
	assert_int_equal(offsetof(struct vmt_head, stack_words_used), 1792);
	assert_int_equal(offsetof(struct vmt_head, heartbeat_ns), 1856);
	assert_int_equal(offsetof(struct vmt_head, go), 1920);
	assert_int_equal(offsetof(struct vmt_go, sites), 80);
	assert_int_equal(offsetof(struct vmt_go, objects), 2128);
	assert_int_equal(offsetof(struct vmt_head, go_roles), 4688);
	assert_int_equal(offsetof(struct vmt_head, max_bytes), 7704);
	assert_int_equal(offsetof(struct vmt_head, full_since), 7712);
	assert_int_equal(offsetof(struct vmt_head, traces_removed), 7720);
	assert_int_equal(offsetof(struct vmt_head, collector_pid_namespace), 7728);
	assert_int_equal(offsetof(struct vmt_head, calls_unseen_at), 7744);
	assert_int_equal(offsetof(struct vmt_head, calls_unseen), 7752);
	assert_int_equal(offsetof(struct vmt_head, heap_functions), 7756);
	assert_int_equal(offsetof(struct vmt_head, heap_unseen_at), 7760);
	assert_int_equal(offsetof(struct vmt_head, heap_unseen), 7768);
	assert_int_equal(offsetof(struct vmt_head, heap_missed), 7776);
	assert_int_equal(offsetof(struct vmt_go_code_roles, starts), 16);
	assert_int_equal(offsetof(struct vmt_go_code_roles, roles), 2416);
	assert_int_equal(sizeof(struct vmt_head), 7808);
	assert_int_equal(sizeof(struct vmt_ring), 1216);
}

static void
test_regions_follow_one_another(void **state)
{
	struct vmt_head head = sample();
	uint64_t slots = 4 * (64 * 32 + 16 * 64);

	(void)state;
	assert_null(vmt_head_check(&head));
	assert_int_equal(head.controls_offset, 8192);
	assert_true(head.slots_offset >= head.controls_offset + 8 * sizeof(struct vmt_ring));
	assert_true(head.stack_index_offset >= head.slots_offset + slots);
	assert_true(head.stack_words_offset >= head.stack_index_offset + 1024 * 8);
	assert_true(head.modules_offset >= head.stack_words_offset + 5000 * 8);
	assert_true(head.chunks_offset >= head.modules_offset + 8192);
	assert_int_equal((head.slots_offset | head.stack_index_offset | head.stack_words_offset |
			  head.modules_offset | head.chunks_offset) %
			     4096,
			 0);
}

static void
test_rings_do_not_overlap(void **state)
{
	struct vmt_head head = sample();
	unsigned char *base = NULL;
	uintptr_t end = head.slots_offset;

	(void)state;
	for (uint32_t shard = 0; shard < head.shards; shard++) {
		for (int i = 0; i < VMT_RING_CLASSES; i++) {
			struct vmt_ring_view ring =
			    vmt_head_ring(&head, base, shard, (enum vmt_ring_class)i);

			assert_int_equal((uintptr_t)ring.control,
					 head.controls_offset +
					     (shard * 2 + (unsigned)i) * sizeof(struct vmt_ring));
			assert_int_equal((uintptr_t)ring.slots, end);
			assert_int_equal(ring.capacity, i == VMT_RING_HEAP ? 64 : 16);
			assert_int_equal(ring.slot_bytes, i == VMT_RING_HEAP ? 32 : 64);
			end += (uintptr_t)ring.capacity * ring.slot_bytes;
		}
	}
	assert_true(end <= head.stack_index_offset);
}

static void
test_what_it_is_not(void **state)
{
	struct vmt_head head = sample();

	(void)state;
	head.magic[2] = 'x';
	assert_string_equal(vmt_head_check(&head), "not a vmtrace trace");
	head = sample();
	head.version = VMT_VERSION + 1;
	assert_non_null(strstr(vmt_head_check(&head), "another version"));
	head.version = VMT_OLDEST_VERSION - 1;
	assert_non_null(strstr(vmt_head_check(&head), "another version"));
	head = sample();
	head.features = VMT_FEATURE_THINNED | VMT_FEATURE_STACKS_SHARED | VMT_FEATURE_MANY_SHARDS;
	assert_null(vmt_head_check(&head));
	head.features = 8;
	assert_non_null(strstr(vmt_head_check(&head), "features"));
	head.features = UINT64_C(1) << 31;
	assert_non_null(strstr(vmt_head_check(&head), "features"));
	memset(&head, 0, sizeof(head));
	assert_string_equal(vmt_head_check(&head), "not a vmtrace trace");
}

static void
test_what_may_be_newer_or_older(void **state)
{
	struct vmt_head head = sample();

	(void)state;
	head.version = VMT_OLDEST_VERSION;
	assert_null(vmt_head_check(&head));
	head = sample();
	head.features = UINT64_C(1) << 32 | UINT64_C(1) << 63;
	assert_null(vmt_head_check(&head));
	head = sample();
	head.head_bytes = 8192; /* exactly up to the first region */
	assert_null(vmt_head_check(&head));
	head.head_bytes = 8193;
	assert_non_null(vmt_head_check(&head));
}

/* Any order, and gaps. */
static void
test_regions_lie_anywhere(void **state)
{
	struct vmt_head head = sample();

	(void)state;
	head.modules_offset = 8192;	    /* 8192 bytes */
	head.stack_words_offset = 5 * 4096; /* 40000 bytes: a page of gap before it */
	head.stack_index_offset = 15 * 4096;
	head.controls_offset = 17 * 4096;
	head.slots_offset = 20 * 4096; /* 12288 bytes */
	head.chunks_offset = 40 * 4096;
	assert_null(vmt_head_check(&head));
	head.chunks_offset = 23 * 4096;
	assert_null(vmt_head_check(&head));
	head.chunks_offset = 22 * 4096;
	assert_non_null(vmt_head_check(&head));
	head.chunks_offset = 40 * 4096;
	head.stack_index_offset = 14 * 4096; /* in the last page of the stack table */
	assert_non_null(vmt_head_check(&head));
	head.stack_index_offset = 5 * 4096; /* the same place */
	assert_non_null(vmt_head_check(&head));
	head.stack_index_offset = 0;
	assert_non_null(vmt_head_check(&head));
}

#define REJECTED(field, value)                                                                     \
	do {                                                                                       \
		struct vmt_head bad = sample();                                                    \
                                                                                                   \
		bad.field = (value);                                                               \
		assert_non_null(vmt_head_check(&bad));                                             \
		vmt_head_lay_out(&bad); /* also where the offsets agree with it */                 \
		bad.field = (value);                                                               \
		assert_non_null(vmt_head_check(&bad));                                             \
	} while (0)

static void
test_damaged_values(void **state)
{
	(void)state;
	REJECTED(head_bytes, 0);
	REJECTED(head_bytes, VMT_HEAD_MIN_BYTES - 1);
	REJECTED(head_bytes, VMT_HEAD_MAX_BYTES + 1);
	REJECTED(go.sites_count, VMT_GO_SITES + 1);
	REJECTED(go.objects_count, VMT_GO_OBJECTS + 1);
	REJECTED(page_bytes, 0);
	REJECTED(page_bytes, 2048);
	REJECTED(page_bytes, 4097);
	REJECTED(page_bytes, 131072);
	REJECTED(cmdline_bytes, VMT_CMDLINE_BYTES + 1);
	REJECTED(clock, 2);
	REJECTED(malloc_mode, 3);
	REJECTED(stack_mode, 3);
	REJECTED(shards, 0);
	REJECTED(shards, 3);
	REJECTED(shards, 2 * VMT_MAX_SHARDS);
	REJECTED(heap_capacity, 0);
	REJECTED(heap_capacity, 4);
	REJECTED(heap_capacity, 65);
	REJECTED(heap_capacity, UINT32_C(1) << 31);
	REJECTED(map_capacity, 0);
	REJECTED(map_capacity, 24);
	REJECTED(map_capacity, UINT32_C(1) << 29);
	REJECTED(stack_index_entries, 0);
	REJECTED(stack_index_entries, 1000);
	REJECTED(stack_index_entries, UINT64_C(1) << 63);
	REJECTED(stack_words, 0);
	REJECTED(stack_words, UINT64_MAX / 8 + 2);
	REJECTED(modules_bytes, 0);
	REJECTED(modules_bytes, 8191);
	REJECTED(modules_bytes, UINT64_MAX - 7);
}

/* What a flipped bit makes of an offset: wrong, or a place where the region could lie. */
static void
check_offset(uint64_t *offset, uint64_t bytes, const struct vmt_head *head)
{
	for (unsigned bit = 0; bit < 64; bit++) {
		uint64_t kept = *offset;

		*offset ^= UINT64_C(1) << bit;
		if (vmt_head_check(head) == NULL) {
			assert_int_equal(*offset % 4096, 0);
			assert_true(*offset >= head->head_bytes);
			assert_true(*offset < UINT64_C(1) << 40);
			assert_true(*offset + bytes <= head->chunks_offset);
		}
		*offset = kept;
	}
}

static void
test_damaged_offsets(void **state)
{
	struct vmt_head head = sample();

	(void)state;
	check_offset(&head.controls_offset, 8 * sizeof(struct vmt_ring), &head);
	check_offset(&head.slots_offset, 4 * (64 * 32 + 16 * 64), &head);
	check_offset(&head.stack_index_offset, 1024 * 8, &head);
	check_offset(&head.stack_words_offset, 5000 * 8, &head);
	check_offset(&head.modules_offset, 8192, &head);
	check_offset(&head.chunks_offset, 0, &head);
	for (unsigned bit = 0; bit < 12; bit++) {
		uint64_t flip = UINT64_C(1) << bit;

		REJECTED(controls_offset, bad.controls_offset ^ flip);
		REJECTED(slots_offset, bad.slots_offset ^ flip);
		REJECTED(stack_index_offset, bad.stack_index_offset ^ flip);
		REJECTED(stack_words_offset, bad.stack_words_offset ^ flip);
		REJECTED(modules_offset, bad.modules_offset ^ flip);
		REJECTED(chunks_offset, bad.chunks_offset ^ flip);
	}
	REJECTED(chunks_offset, 0);
	REJECTED(modules_offset, UINT64_MAX - 4095);
	REJECTED(controls_offset, 0);
}

static void
test_unterminated_name(void **state)
{
	struct vmt_head head = sample();

	(void)state;
	memset(head.exe, 'x', sizeof(head.exe));
	assert_non_null(vmt_head_check(&head));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_offsets_are_the_documented_ones),
	    cmocka_unit_test(test_regions_follow_one_another),
	    cmocka_unit_test(test_rings_do_not_overlap),
	    cmocka_unit_test(test_what_it_is_not),
	    cmocka_unit_test(test_what_may_be_newer_or_older),
	    cmocka_unit_test(test_regions_lie_anywhere),
	    cmocka_unit_test(test_damaged_values),
	    cmocka_unit_test(test_damaged_offsets),
	    cmocka_unit_test(test_unterminated_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
