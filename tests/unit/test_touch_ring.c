/* Records out of a ring as the kernel's, made by hand: whole ones, wrapped ones, and lies. */
#include "base/atomic.h"
#include "collect/touch_record.h"
#include "collect/touch_ring.h"
#include "collect/touch_rings.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAGE_BYTES 4096u
#define DATA_BYTES 8192u
#define COPY_BYTES 512u
#define CHAIN 3u

struct made {
	unsigned char *pages;
	struct vmt_touch_ring ring;
	uint64_t head; /* written up to here */
	unsigned char scratch[VMT_TOUCH_RECORD_MAX_BYTES];
};

static int
set_up(void **state)
{
	struct made *made = calloc(1, sizeof(*made));

	assert_non_null(made);
	made->pages = aligned_alloc(PAGE_BYTES, PAGE_BYTES + DATA_BYTES);
	assert_non_null(made->pages);
	memset(made->pages, 0, PAGE_BYTES + DATA_BYTES);
	vmt_touch_ring_begin(&made->ring, made->pages, PAGE_BYTES, DATA_BYTES);
	*state = made;
	return 0;
}

static int
tear_down(void **state)
{
	struct made *made = *state;

	free(made->pages);
	free(made);
	return 0;
}

static void
write_bytes(struct made *made, const void *bytes, size_t count)
{
	for (size_t i = 0; i < count; i++)
		made->pages[PAGE_BYTES + (made->head + i) % DATA_BYTES] =
		    ((const unsigned char *)bytes)[i];
	made->head += count;
	vmt_atomic_store_release(&made->ring.page->data_head, made->head);
}

static void
write_word(struct made *made, uint64_t word)
{
	write_bytes(made, &word, sizeof(word));
}

static void
write_header(struct made *made, uint32_t type, uint16_t misc, size_t size)
{
	struct perf_event_header header = {type, misc, (uint16_t)size};

	write_bytes(made, &header, sizeof(header));
}

/* As the kernel writes one with a stack and a page size. */
static void
write_sample(struct made *made, uint64_t time, uint64_t number)
{
	static unsigned char copy[COPY_BYTES];

	write_header(made, PERF_RECORD_SAMPLE, PERF_RECORD_MISC_USER,
		     8 + 8 * (5 + 1 + CHAIN + 4 + 1 + 1 + 1) + COPY_BYTES);
	write_word(made, 0x400000 + number);
	write_word(made, UINT64_C(17) << 32 | 16);
	write_word(made, time);
	write_word(made, number << 12);
	write_word(made, 0x700000 + number);
	write_word(made, CHAIN);
	for (uint64_t i = 0; i < CHAIN; i++)
		write_word(made, 0x500000 + i);
	write_word(made, 2);
	for (uint64_t i = 0; i < VMT_TOUCH_REGISTERS; i++)
		write_word(made, 0x600000 + i);
	write_word(made, COPY_BYTES);
	memset(copy, (int)number, sizeof(copy));
	write_bytes(made, copy, sizeof(copy));
	write_word(made, COPY_BYTES / 2);
	write_word(made, 4096);
}

static void
assert_sample(struct made *made, uint64_t wanted_time, uint64_t number)
{
	struct vmt_touch_record record;
	struct vmt_touch_fault fault;
	uint64_t time = 0;

	assert_true(vmt_touch_ring_next(&made->ring, &time));
	assert_int_equal(time, wanted_time);
	vmt_touch_ring_take(&made->ring, made->scratch, &record);
	assert_true(
	    vmt_touch_record_read(&record, VMT_TOUCH_HAS_STACK | VMT_TOUCH_HAS_SIZE, &fault));
	assert_int_equal(fault.ip, 0x400000 + number);
	assert_int_equal(fault.time, wanted_time);
	assert_int_equal(fault.address, number << 12);
	assert_int_equal(fault.event_id, 0x700000 + number);
	assert_int_equal(fault.pid, 16);
	assert_int_equal(fault.tid, 17);
	assert_false(fault.kernel);
	assert_int_equal(fault.chain_count, CHAIN);
	assert_int_equal(fault.chain[CHAIN - 1], 0x500000 + CHAIN - 1);
	assert_true(fault.has_registers);
	assert_int_equal(fault.registers[VMT_TOUCH_REGISTER_IP], 0x600002);
	assert_int_equal(fault.copy_wanted, COPY_BYTES);
	assert_int_equal(fault.copy_bytes, COPY_BYTES / 2);
	for (size_t i = 0; i < COPY_BYTES; i++)
		assert_int_equal(fault.copy[i], (unsigned char)number);
	assert_int_equal(fault.page_bytes, 4096);
}

/* Records of 632 bytes: their headers and bodies lie across the end in every way. */
static void
records_come_out_as_they_went_in_wherever_they_lie(void **state)
{
	struct made *made = *state;
	uint64_t time;

	for (uint64_t i = 0; i < 2000; i += 2) {
		write_sample(made, 1000 + i, i);
		write_sample(made, 1001 + i, i + 1);
		vmt_touch_ring_look(&made->ring);
		assert_sample(made, 1000 + i, i);
		assert_sample(made, 1001 + i, i + 1);
		assert_false(vmt_touch_ring_next(&made->ring, &time));
		vmt_touch_ring_give_back(&made->ring);
		assert_int_equal(made->ring.page->data_tail, made->head);
	}
	assert_int_equal(made->ring.damaged, 0);
}

static void
what_comes_after_the_look_waits_for_the_next(void **state)
{
	struct made *made = *state;
	uint64_t time;

	write_sample(made, 1, 1);
	vmt_touch_ring_look(&made->ring);
	write_sample(made, 2, 2);
	assert_sample(made, 1, 1);
	assert_false(vmt_touch_ring_next(&made->ring, &time));
	vmt_touch_ring_look(&made->ring);
	assert_sample(made, 2, 2);
}

static void
a_count_of_losses_is_read(void **state)
{
	struct made *made = *state;
	struct vmt_touch_record record;
	struct vmt_touch_fault fault;
	uint64_t time, lost = 0;
	uint32_t pid = 0;

	write_header(made, PERF_RECORD_LOST, 0, 8 + 8 * 5);
	write_word(made, 99);			   /* id */
	write_word(made, 12345);		   /* lost */
	write_word(made, UINT64_C(17) << 32 | 16); /* whose */
	write_word(made, 777);
	write_word(made, 98); /* id */
	vmt_touch_ring_look(&made->ring);
	assert_true(vmt_touch_ring_next(&made->ring, &time));
	assert_int_equal(time, 777);
	vmt_touch_ring_take(&made->ring, made->scratch, &record);
	assert_true(vmt_touch_record_read_lost(&record, &pid, &lost));
	assert_int_equal(lost, 12345);
	assert_int_equal(pid, 16);
	assert_false(vmt_touch_record_read(&record, 0, &fault));
}

static void
a_fork_names_its_maker(void **state)
{
	static const uint64_t pids[] = {16, 20};
	struct made *made = *state;

	for (size_t i = 0; i < 2; i++) {
		struct vmt_touch_record record;
		uint64_t time;
		uint32_t maker = 0;
		bool is_thread = i != 0;

		write_header(made, PERF_RECORD_FORK, 0, 8 + 8 * 6);
		write_word(made, UINT64_C(16) << 32 | pids[i]);
		write_word(made, UINT64_C(16) << 32 | 21);
		write_word(made, 777);
		write_word(made, UINT64_C(17) << 32 | 16);
		write_word(made, 778);
		write_word(made, 98); /* id */
		vmt_touch_ring_look(&made->ring);
		assert_true(vmt_touch_ring_next(&made->ring, &time));
		assert_int_equal(time, 778);
		vmt_touch_ring_take(&made->ring, made->scratch, &record);
		assert_true(vmt_touch_record_read_fork(&record, &maker, &is_thread));
		assert_int_equal(maker, 16);
		assert_int_equal(is_thread, i == 0);
		record.body_bytes = 0;
		assert_false(vmt_touch_record_read_fork(&record, &maker, &is_thread));
	}
}

/* A thread that only names itself has executed nothing. */
static void
an_exec_is_told_from_a_new_name(void **state)
{
	static const uint16_t kinds[] = {PERF_RECORD_MISC_COMM_EXEC, 0};
	struct made *made = *state;

	for (size_t i = 0; i < 2; i++) {
		struct vmt_touch_record record;
		uint64_t time;
		uint32_t pid = 0;

		write_header(made, PERF_RECORD_COMM, kinds[i], 8 + 8 * 6);
		write_word(made, UINT64_C(17) << 32 | 16);
		write_bytes(made, "a name\0\0\0\0\0\0\0\0\0", 16);
		write_word(made, UINT64_C(17) << 32 | 16);
		write_word(made, 779);
		write_word(made, 98); /* id */
		vmt_touch_ring_look(&made->ring);
		assert_true(vmt_touch_ring_next(&made->ring, &time));
		assert_int_equal(time, 779);
		vmt_touch_ring_take(&made->ring, made->scratch, &record);
		assert_int_equal(vmt_touch_record_read_exec(&record, &pid), i == 0);
		if (i == 0)
			assert_int_equal(pid, 16);
		record.body_bytes = 0;
		assert_false(vmt_touch_record_read_exec(&record, &pid));
	}
}

/* Sizes that no record has: nothing beyond the ring is read, and reading goes on behind. */
static void
sizes_that_can_not_be_end_the_reading_once(void **state)
{
	static const uint16_t sizes[] = {0, 7, 8, 9, 15, 17, 1001, 65528, 65535};
	struct made *made = *state;
	uint64_t time;

	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		write_header(made, PERF_RECORD_SAMPLE, 0, sizes[i]);
		for (unsigned word = 0; word < 100; word++)
			write_word(made, UINT64_MAX);
		vmt_touch_ring_look(&made->ring);
		assert_false(vmt_touch_ring_next(&made->ring, &time));
		assert_int_equal(made->ring.damaged, i + 1);
		vmt_touch_ring_give_back(&made->ring);
		assert_int_equal(made->ring.page->data_tail, made->head);
		write_sample(made, i, i);
		vmt_touch_ring_look(&made->ring);
		assert_sample(made, i, i);
		vmt_touch_ring_give_back(&made->ring);
	}
}

static void
a_head_that_is_too_far_away_is_not_believed(void **state)
{
	struct made *made = *state;
	uint64_t time;

	vmt_atomic_store_release(&made->ring.page->data_head, DATA_BYTES + 8);
	vmt_touch_ring_look(&made->ring);
	assert_false(vmt_touch_ring_next(&made->ring, &time));
	assert_int_equal(made->ring.damaged, 1);
	made->head = DATA_BYTES + 8;
	write_sample(made, 5, 6);
	vmt_touch_ring_look(&made->ring);
	assert_sample(made, 5, 6);
}

/* Every count in a sample, too large by any amount; and samples that end too early. */
static void
samples_that_contradict_themselves_are_refused(void **state)
{
	enum {
		CHAIN_AT = 5,
		ABI_AT = CHAIN_AT + 1 + CHAIN,
		COPY_AT = ABI_AT + 4,
		COPIED_AT = COPY_AT + 1 + COPY_BYTES / 8
	};
	static const uint64_t lies[] = {1, 1 << 20, UINT64_C(1) << 61, UINT64_MAX};
	struct made *made = *state;
	const uint32_t has = VMT_TOUCH_HAS_STACK | VMT_TOUCH_HAS_SIZE;
	uint64_t words[8192 / 8];
	struct vmt_touch_record record;
	struct vmt_touch_fault fault;
	uint64_t time;

	write_sample(made, 1, 1);
	vmt_touch_ring_look(&made->ring);
	assert_true(vmt_touch_ring_next(&made->ring, &time));
	vmt_touch_ring_take(&made->ring, made->scratch, &record);
	memcpy(words, record.body, record.body_bytes);
	record.body = (const unsigned char *)words;
	assert_true(vmt_touch_record_read(&record, has, &fault));
	for (size_t i = 0; i < sizeof(lies) / sizeof(*lies); i++) {
		words[CHAIN_AT] += lies[i];
		assert_false(vmt_touch_record_read(&record, has, &fault));
		words[CHAIN_AT] -= lies[i];
		words[COPY_AT] += lies[i];
		assert_false(vmt_touch_record_read(&record, has, &fault));
		words[COPY_AT] -= lies[i];
		words[COPIED_AT] = UINT64_MAX - lies[i] / 2;
		assert_false(vmt_touch_record_read(&record, has, &fault));
		words[COPIED_AT] = COPY_BYTES / 2;
	}
	for (size_t bytes = 0; bytes < 8 + COPY_BYTES; bytes += 8) {
		record.body_bytes = bytes;
		assert_false(vmt_touch_record_read(&record, has, &fault));
	}
}

static void
rings_have_an_eighth_of_the_account_at_most(void **state)
{
	const uint64_t most = UINT64_C(1) << 30;

	(void)state;
	for (uint32_t cpus = 1; cpus <= 4096; cpus *= 2) {
		for (uint64_t account = 4096; account < UINT64_C(1) << 34; account += account / 3) {
			uint64_t bytes = vmt_touch_rings_size(account, cpus, 4096, most);

			assert_true(bytes == 0 || (bytes + 4096) * cpus <= account / 8);
			assert_true((bytes & (bytes - 1)) == 0);
			/* And no less than half of what it could be. */
			assert_true(bytes >= most || (2 * bytes + 4096) * cpus > account / 8 ||
				    (bytes == 0 && 8192 * cpus > account / 8));
		}
	}
	assert_int_equal(vmt_touch_rings_size(UINT64_C(1) << 40, 2, 4096, 100000), 65536);
	assert_int_equal(vmt_touch_rings_size(UINT64_C(1) << 40, 2, 65536, 100000), 65536);
}

static void
smaller_periods_have_larger_rings(void **state)
{
	(void)state;
	assert_true(vmt_touch_rings_wish(1, 2) == UINT64_C(16) << 20);
	assert_true(vmt_touch_rings_wish(61, 2) >= UINT64_C(4) << 20);
	assert_true(vmt_touch_rings_wish(1000000, 2) == UINT64_C(128) << 10);
	assert_true(vmt_touch_rings_wish(1, 1024) * 1024 <= UINT64_C(32) << 20);
}

/* A look at half of that time comes before a ring is full. */
static void
looks_come_before_a_ring_is_full(void **state)
{
	(void)state;
	/* 31 samples of 61 us and 2 us. */
	assert_int_equal(vmt_touch_rings_filled_ns(262144, 8192, 61), 31 * 63000);
	assert_true(vmt_touch_rings_filled_ns(4096, 512, 1) == 1000000);
	assert_true(vmt_touch_rings_filled_ns(UINT64_C(16) << 20, 8192, 1000000) == 20000000);
}

static void
assert_cpus(const char *list, const char *wanted)
{
	char found[64] = "";
	size_t used = 0;

	for (uint32_t cpu = 0; used < 50 && vmt_touch_rings_next_cpu(list, strlen(list), &cpu);
	     cpu++)
		used += (size_t)snprintf(found + used, sizeof(found) - used, "%u ", cpu);
	assert_string_equal(found, wanted);
}

static void
processors_of_a_list_are_found(void **state)
{
	(void)state;
	assert_cpus("0\n", "0 ");
	assert_cpus("0-3\n", "0 1 2 3 ");
	assert_cpus("1,3-4,7\n", "1 3 4 7 ");
	assert_cpus("2-1\n", "");
	assert_cpus("", "");
	assert_cpus("x", "");
	assert_cpus("1-", "");
	assert_cpus("4294967296-4294967300", "");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(records_come_out_as_they_went_in_wherever_they_lie,
					    set_up, tear_down),
	    cmocka_unit_test_setup_teardown(what_comes_after_the_look_waits_for_the_next, set_up,
					    tear_down),
	    cmocka_unit_test_setup_teardown(a_count_of_losses_is_read, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(a_fork_names_its_maker, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(an_exec_is_told_from_a_new_name, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(sizes_that_can_not_be_end_the_reading_once, set_up,
					    tear_down),
	    cmocka_unit_test_setup_teardown(a_head_that_is_too_far_away_is_not_believed, set_up,
					    tear_down),
	    cmocka_unit_test_setup_teardown(samples_that_contradict_themselves_are_refused, set_up,
					    tear_down),
	    cmocka_unit_test(rings_have_an_eighth_of_the_account_at_most),
	    cmocka_unit_test(smaller_periods_have_larger_rings),
	    cmocka_unit_test(looks_come_before_a_ring_is_full),
	    cmocka_unit_test(processors_of_a_list_are_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
