/*
 * Every class of memory in a constructed snapshot, exact to the byte, and the identity on each and
 * on random ones.
 * Over 500 lines: one case a class.
 */
#include "tests/unit/model_world.h"

#define EXE UINT64_C(0x555500000000)
#define LIB (BASE + 0x10000000)

static void
start_thread(struct vmt_replay *replay, uint64_t descriptor, uint64_t asked, uint32_t stack)
{
	happen(replay, EVENT(THREAD, .address = descriptor, .length = asked, .argument_a = 2304,
			     .stack = stack));
}

static void
empty_snapshot_is_all_zero(void **state)
{
	struct vmt_replay *replay = world_new(0, false);
	static struct world_snapshot world;
	struct vmt_attribution attribution;

	(void)state;
	memset(&world, 0, sizeof(world));
	attribution = join_world(&world, replay, NULL);
	assert_int_equal(attribution.total.bytes[VMT_AMOUNT_RESERVED], 0);
	vmt_attribution_free(&attribution);
	vmt_replay_free(replay);
}

/* One mapping of every class, and of each thing that a class takes in. */
static void
map_every_class(struct world_snapshot *world, uint64_t stack)
{
	add_mapping(world, EXE, 16 * PAGE, "/usr/bin/victim", 3 * PAGE)->protection =
	    PROT_READ | PROT_EXEC;
	add_mapping(world, EXE + 16 * PAGE, 4 * PAGE, "/usr/bin/victim", 2 * PAGE);
	add_mapping(world, EXE + 20 * PAGE, 4 * PAGE, "", PAGE); /* .bss */
	add_mapping(world, EXE + MIB, 33 * PAGE, "[heap]", 5 * PAGE);
	add_mapping(world, BASE, 64 * PAGE, "", 7 * PAGE); /* mmap */
	add_mapping(world, BASE + MIB, 8 * PAGE, "/data/file", 4 * PAGE)->protection = PROT_READ;
	add_mapping(world, BASE + 2 * MIB, 8 * PAGE, "/memfd:x (deleted)", 6 * PAGE)->shared = 1;
	add_mapping(world, BASE + 3 * MIB, 8 * PAGE, "/dev/zero (deleted)", PAGE)->shared = 1;
	add_mapping(world, BASE + 4 * MIB, 8 * PAGE, "/SYSV00000000 (deleted)", PAGE)->shared = 1;
	add_mapping(world, BASE + 5 * MIB, 8 * PAGE, "/tmp/t.vmt", 5 * PAGE)->shared = 1;
	add_mapping(world, BASE + 6 * MIB, 2 * PAGE, "", 2 * PAGE); /* nobody's */
	add_mapping(world, LIB + 0x100000, 4 * PAGE, "/lib/libvmtrace.so", 2 * PAGE)->protection =
	    PROT_READ | PROT_EXEC;
	add_mapping(world, LIB + 0x100000 + 4 * PAGE, PAGE, "/lib/libvmtrace.so", PAGE);
	add_mapping(world, LIB + 0x100000 + 5 * PAGE, PAGE, "", PAGE); /* its .bss */
	add_mapping(world, stack - PAGE, PAGE, "", 0)->protection = PROT_NONE;
	add_mapping(world, stack, 2048 * PAGE, "", 3 * PAGE);
	add_mapping(world, BASE + 0x40000000, 33 * PAGE, "[stack]", 9 * PAGE);
	add_mapping(world, BASE + 0x50000000, 4 * PAGE, "[vvar]", 0);
	add_mapping(world, BASE + 0x60000000, 2 * PAGE, "[vdso]", PAGE);
	add_mapping(world, UINT64_C(0xffffffffff600000), PAGE, "[vsyscall]", 0);
}

static void
each_class_gets_its_own(void **state)
{
	struct vmt_replay *replay = world_new(0, false);
	struct vmt_attribution_options options = {.trace_name = "t.vmt",
						  .tracer_address = LIB + 0x100000};
	static struct world_snapshot world;
	struct vmt_attribution attribution;
	uint64_t stack = BASE + 0x20000000;

	(void)state;
	memset(&world, 0, sizeof(world));
	map_every_class(&world, stack);
	map_anonymous(replay, BASE, 64 * PAGE, 1);
	start_thread(replay, stack + 2048 * PAGE - 2304, 0, 2);
	happen(replay, EVENT(MALLOC, .address = EXE + MIB + 100, .length = 3 * PAGE, .stack = 3));

	attribution = join_world(&world, replay, &options);
	assert_int_equal(CLASS_OF(attribution, MMAP, COMMITTED), 7 * PAGE);
	assert_int_equal(CLASS_OF(attribution, MMAP, RESERVED), 64 * PAGE);
	assert_int_equal(CLASS_OF(attribution, MALLOC_LIVE, COMMITTED), 3 * PAGE);
	assert_int_equal(CLASS_OF(attribution, MALLOC_RETAINED, COMMITTED), 2 * PAGE);
	assert_int_equal(CLASS_OF(attribution, MALLOC_RETAINED, RESERVED), 30 * PAGE);
	assert_int_equal(CLASS_OF(attribution, THREAD_STACKS, COMMITTED), 3 * PAGE);
	assert_int_equal(CLASS_OF(attribution, THREAD_STACKS, RESERVED), 2049 * PAGE);
	assert_int_equal(CLASS_OF(attribution, MAIN_STACK, COMMITTED), 9 * PAGE);
	assert_int_equal(CLASS_OF(attribution, PROGRAM, COMMITTED), 6 * PAGE);
	assert_int_equal(CLASS_OF(attribution, PROGRAM, RESERVED), 24 * PAGE);
	assert_int_equal(CLASS_OF(attribution, FILES, COMMITTED), 4 * PAGE);
	assert_int_equal(CLASS_OF(attribution, SHARED, COMMITTED), 8 * PAGE);
	assert_int_equal(CLASS_OF(attribution, KERNEL, COMMITTED), PAGE);
	assert_int_equal(CLASS_OF(attribution, KERNEL, RESERVED), 6 * PAGE);
	assert_int_equal(CLASS_OF(attribution, TRACER, COMMITTED), 9 * PAGE);
	assert_int_equal(CLASS_OF(attribution, UNATTRIBUTED, COMMITTED), 2 * PAGE);
	assert_int_equal(FIGURE(replay, MMAP, 1, COMMITTED), 7 * PAGE);
	assert_int_equal(FIGURE(replay, MMAP, 1, LIVE_COUNT), 1);
	assert_int_equal(FIGURE(replay, THREAD, 2, RESERVED), 2049 * PAGE);
	assert_int_equal(FIGURE(replay, THREAD, 2, ACCESSIBLE), 2048 * PAGE);
	assert_int_equal(FIGURE(replay, THREAD, 2, COMMITTED), 3 * PAGE);
	assert_int_equal(FIGURE(replay, THREAD, 2, LIVE_COUNT), 1);
	assert_int_equal(FIGURE(replay, MALLOC, 3, COMMITTED), 3 * PAGE);
	assert_int_equal(attribution.total.bytes[VMT_AMOUNT_ACCESSIBLE],
			 attribution.total.bytes[VMT_AMOUNT_RESERVED] - PAGE);
	vmt_attribution_free(&attribution);
	vmt_replay_free(replay);
}

static void
files_add_up_by_path(void **state)
{
	struct vmt_replay *replay = world_new(0, false);
	static struct world_snapshot world;
	struct vmt_attribution attribution;
	const struct vmt_mapped_file *first;
	const struct vmt_mapped_file *second;

	(void)state;
	memset(&world, 0, sizeof(world));
	add_mapping(&world, BASE, 4 * PAGE, "/a", 2 * PAGE)->protection = PROT_READ | PROT_EXEC;
	add_mapping(&world, BASE + 4 * PAGE, 4 * PAGE, "/b", PAGE);
	add_mapping(&world, BASE + 8 * PAGE, 4 * PAGE, "/a", 3 * PAGE);
	add_mapping(&world, BASE + MIB, 4 * PAGE, "[stack]", 3 * PAGE);
	attribution = join_world(&world, replay, NULL);
	first = vmt_files_rows(attribution.files);
	assert_int_equal(HASH_COUNT(first), 2);
	second = first->hh.next;
	assert_int_equal(first->reserved_bytes, 8 * PAGE);
	assert_int_equal(first->committed_bytes, 5 * PAGE);
	assert_int_equal(second->committed_bytes, PAGE);
	assert_int_equal(attribution.file_bytes, 6 * PAGE);
	assert_int_equal(CLASS_OF(attribution, PROGRAM, COMMITTED), 5 * PAGE);
	assert_int_equal(CLASS_OF(attribution, FILES, COMMITTED), PAGE);
	vmt_attribution_free(&attribution);
	vmt_replay_free(replay);
}

/* A kernel joins neighbours into one mapping: events tell them apart. */
static void
one_mapping_of_two_calls_is_cut(void **state)
{
	struct vmt_replay *replay = world_new(0, false);
	static struct world_snapshot world;
	struct vmt_attribution attribution;

	(void)state;
	memset(&world, 0, sizeof(world));
	map_anonymous(replay, BASE, 4 * PAGE, 1);
	map_anonymous(replay, BASE + 6 * PAGE, 4 * PAGE, 2);
	map_anonymous(replay, BASE + 10 * PAGE, 2 * PAGE, 2);
	add_mapping(&world, BASE, 12 * PAGE, "", 0);
	add_run(&world, BASE + PAGE, 6 * PAGE, VMT_RUN_PRESENT);
	add_run(&world, BASE + 8 * PAGE, PAGE, VMT_RUN_SWAPPED);
	add_run(&world, BASE + 9 * PAGE, PAGE, VMT_RUN_PRESENT | VMT_RUN_ZERO);
	add_run(&world, BASE + 10 * PAGE, PAGE, VMT_RUN_PRESENT | VMT_RUN_HUGE);
	attribution = join_world(&world, replay, NULL);
	assert_int_equal(FIGURE(replay, MMAP, 1, COMMITTED), 3 * PAGE);
	assert_int_equal(FIGURE(replay, MMAP, 2, COMMITTED), 2 * PAGE);
	assert_int_equal(FIGURE(replay, MMAP, 2, SWAPPED), PAGE);
	assert_int_equal(FIGURE(replay, MMAP, 2, RESERVED), 6 * PAGE);
	assert_int_equal(FIGURE(replay, MMAP, 2, LIVE_COUNT), 2);
	assert_int_equal(CLASS_OF(attribution, UNATTRIBUTED, COMMITTED), 2 * PAGE);
	assert_int_equal(CLASS_OF(attribution, MMAP, SWAPPED), PAGE);
	vmt_attribution_free(&attribution);
	vmt_replay_free(replay);
}

static void
protection_is_the_snapshots(void **state)
{
	struct vmt_replay *replay = world_new(0, false);
	static struct world_snapshot world;
	struct vmt_attribution attribution;

	(void)state;
	memset(&world, 0, sizeof(world));
	map_anonymous(replay, BASE, 8 * PAGE, 1);
	happen(replay, EVENT(MPROTECT, .address = BASE, .length = 2 * PAGE, .protection = 0));
	add_mapping(&world, BASE, 2 * PAGE, "", 0)->protection = PROT_NONE;
	add_mapping(&world, BASE + 2 * PAGE, 6 * PAGE, "", PAGE);
	attribution = join_world(&world, replay, NULL);
	assert_int_equal(FIGURE(replay, MMAP, 1, RESERVED), 8 * PAGE);
	assert_int_equal(FIGURE(replay, MMAP, 1, ACCESSIBLE), 6 * PAGE);
	assert_int_equal(FIGURE(replay, MMAP, 1, LIVE_COUNT), 1);
	vmt_attribution_free(&attribution);
	vmt_replay_free(replay);
}

/* The snapshot shows a file where an event says anonymous: a munmap was not seen. */
static void
the_snapshot_wins_over_a_stale_event(void **state)
{
	struct vmt_replay *replay = world_new(0, false);
	static struct world_snapshot world;
	struct vmt_attribution attribution;

	(void)state;
	memset(&world, 0, sizeof(world));
	map_anonymous(replay, BASE, 8 * PAGE, 1);
	map_anonymous(replay, BASE + MIB, 8 * PAGE, 1); /* gone altogether */
	add_mapping(&world, BASE, 8 * PAGE, "/data/file", 4 * PAGE);
	attribution = join_world(&world, replay, NULL);
	assert_int_equal(CLASS_OF(attribution, FILES, COMMITTED), 4 * PAGE);
	assert_int_equal(CLASS_OF(attribution, MMAP, RESERVED), 0);
	assert_int_equal(FIGURE(replay, MMAP, 1, RESERVED), 0);
	assert_int_equal(FIGURE(replay, MMAP, 1, LIVE_COUNT), 0);
	vmt_attribution_free(&attribution);
	vmt_replay_free(replay);
}

static void
mapped_files_and_segments_have_sites(void **state)
{
	struct vmt_replay *replay = world_new(0, false);
	static struct world_snapshot world;
	struct vmt_attribution attribution;

	(void)state;
	memset(&world, 0, sizeof(world));
	happen(replay, EVENT(MMAP, .address = BASE, .length = 8 * PAGE, .stack = 1,
			     .flags = MAP_PRIVATE, .protection = PROT_READ, .argument_b = 3));
	happen(replay, EVENT(MMAP, .address = BASE + MIB, .length = 8 * PAGE, .stack = 2,
			     .flags = MAP_SHARED | MAP_ANONYMOUS, .protection = RW));
	happen(replay, EVENT(SHMAT, .address = BASE + 2 * MIB, .length = 8 * PAGE, .stack = 3,
			     .protection = RW));
	add_mapping(&world, BASE, 8 * PAGE, "/data/file", 4 * PAGE)->protection = PROT_READ;
	add_mapping(&world, BASE + MIB, 8 * PAGE, "/dev/zero (deleted)", 3 * PAGE)->shared = 1;
	add_mapping(&world, BASE + 2 * MIB, 8 * PAGE, "/SYSV00000000 (deleted)", PAGE)->shared = 1;
	attribution = join_world(&world, replay, NULL);
	assert_int_equal(CLASS_OF(attribution, FILES, COMMITTED), 4 * PAGE);
	assert_int_equal(CLASS_OF(attribution, SHARED, COMMITTED), 4 * PAGE);
	assert_int_equal(FIGURE(replay, MMAP, 1, COMMITTED), 4 * PAGE);
	assert_int_equal(FIGURE(replay, MMAP, 2, COMMITTED), 3 * PAGE);
	assert_int_equal(FIGURE(replay, SHMAT, 3, COMMITTED), PAGE);
	vmt_attribution_free(&attribution);
	vmt_replay_free(replay);
}

/* A module's span says where its .bss ends, even if the kernel joined it with what follows. */
static void
bss_ends_with_its_module(void **state)
{
	struct vmt_replay *replay = world_new(0, false);
	static struct world_snapshot world;
	struct vmt_attribution attribution;

	(void)state;
	memset(&world, 0, sizeof(world));
	happen(replay, EVENT(MODULE_LOAD, .address = LIB, .length = 6 * PAGE - 100,
			     .argument_a = LIB, .argument_b = 8));
	add_mapping(&world, LIB, 4 * PAGE, "/lib/libx.so", PAGE)->protection =
	    PROT_READ | PROT_EXEC;
	add_mapping(&world, LIB + 4 * PAGE, 20 * PAGE, "", 10 * PAGE);
	attribution = join_world(&world, replay, NULL);
	assert_int_equal(CLASS_OF(attribution, PROGRAM, COMMITTED), 3 * PAGE);
	assert_int_equal(CLASS_OF(attribution, UNATTRIBUTED, COMMITTED), 8 * PAGE);
	vmt_attribution_free(&attribution);
	vmt_replay_free(replay);
}

/* Two stacks and an mmapped chunk that the kernel shows as one mapping. */
static void
thread_stacks_in_one_mapping_are_cut_at_their_descriptors(void **state)
{
	struct vmt_replay *replay = world_new(0, false);
	static struct world_snapshot world;
	struct vmt_attribution attribution;
	uint64_t top = BASE + 16 * PAGE;

	(void)state;
	memset(&world, 0, sizeof(world));
	add_mapping(&world, BASE, 80 * PAGE, "", 80 * PAGE);
	start_thread(replay, top - 2304, 16 * PAGE, 1);
	start_thread(replay, top + 16 * PAGE - 2304, 8 * PAGE, 2);
	happen(replay, EVENT(MALLOC, .address = top + 16 * PAGE + 16, .length = 48 * PAGE - 32,
			     .stack = 3));
	attribution = join_world(&world, replay, NULL);
	assert_int_equal(FIGURE(replay, THREAD, 1, COMMITTED), 16 * PAGE);
	assert_int_equal(FIGURE(replay, THREAD, 2, COMMITTED), 8 * PAGE);
	assert_int_equal(CLASS_OF(attribution, THREAD_STACKS, COMMITTED), 24 * PAGE);
	assert_int_equal(CLASS_OF(attribution, MALLOC_LIVE, COMMITTED), 48 * PAGE - 32);
	assert_int_equal(CLASS_OF(attribution, MALLOC_RETAINED, COMMITTED), 32);
	assert_int_equal(CLASS_OF(attribution, UNATTRIBUTED, COMMITTED), 8 * PAGE);
	vmt_attribution_free(&attribution);
	vmt_replay_free(replay);
}

static void
newest_thread_owns_a_stack_that_is_used_again(void **state)
{
	struct vmt_replay *replay = world_new(0, false);
	static struct world_snapshot world;
	struct vmt_attribution attribution;

	(void)state;
	memset(&world, 0, sizeof(world));
	add_mapping(&world, BASE, 16 * PAGE, "", 5 * PAGE);
	start_thread(replay, BASE + 15 * PAGE, 0, 1);
	start_thread(replay, BASE + 15 * PAGE, 0, 2);
	attribution = join_world(&world, replay, NULL);
	assert_int_equal(FIGURE(replay, THREAD, 1, COMMITTED), 0);
	assert_int_equal(FIGURE(replay, THREAD, 2, COMMITTED), 5 * PAGE);
	assert_int_equal(FIGURE(replay, THREAD, 1, COUNT), 1);
	vmt_attribution_free(&attribution);
	vmt_replay_free(replay);
}

static void
stack_of_the_programs_own_memory_stays_the_calls(void **state)
{
	struct vmt_replay *replay = world_new(0, false);
	static struct world_snapshot world;
	struct vmt_attribution attribution;

	(void)state;
	memset(&world, 0, sizeof(world));
	map_anonymous(replay, BASE, 16 * PAGE, 1);
	start_thread(replay, BASE + 15 * PAGE, 16 * PAGE, 2);
	add_mapping(&world, BASE, 16 * PAGE, "", 5 * PAGE);
	attribution = join_world(&world, replay, NULL);
	assert_int_equal(CLASS_OF(attribution, MMAP, COMMITTED), 5 * PAGE);
	assert_int_equal(CLASS_OF(attribution, THREAD_STACKS, RESERVED), 0);
	vmt_attribution_free(&attribution);
	vmt_replay_free(replay);
}

static void
present_memory_is_the_loaders_or_inherited(void **state)
{
	(void)state;
	for (int forked = 0; forked < 2; forked++) {
		struct vmt_replay *replay = world_new(0, forked);
		static struct world_snapshot world;
		struct vmt_attribution attribution;

		memset(&world, 0, sizeof(world));
		happen(replay,
		       EVENT(PRESENT, .address = BASE, .length = 4 * PAGE, .protection = RW));
		happen(replay, EVENT(PRESENT, .address = BASE + MIB, .length = 4 * PAGE,
				     .protection = RW, .argument_b = 3));
		add_mapping(&world, BASE, 4 * PAGE, "", 3 * PAGE);
		add_mapping(&world, BASE + MIB, 4 * PAGE, "", 2 * PAGE);
		attribution = join_world(&world, replay, NULL);
		assert_int_equal(CLASS_OF(attribution, TRACER, COMMITTED), 2 * PAGE);
		assert_int_equal(CLASS_OF(attribution, PROGRAM, COMMITTED), forked ? 0 : 3 * PAGE);
		assert_int_equal(CLASS_OF(attribution, INHERITED, COMMITTED),
				 forked ? 3 * PAGE : 0);
		if (forked)
			assert_int_equal(FIGURE(replay, PRESENT, 0, COMMITTED), 3 * PAGE);
		vmt_attribution_free(&attribution);
		vmt_replay_free(replay);
	}
}

/* A hole above a library's data segment is where memory goes that the kernel finds room for: what a
 * fork child has there of its parent is no free memory of its own. */
static void
inherited_memory_above_a_data_segment_is_inherited(void **state)
{
	struct vmt_replay *replay = world_new(0, true);
	static struct world_snapshot world;
	struct vmt_attribution attribution;

	(void)state;
	memset(&world, 0, sizeof(world));
	happen(replay, EVENT(MODULE_LOAD, .address = LIB, .length = 6 * PAGE, .argument_a = LIB,
			     .argument_b = 8));
	happen(replay,
	       EVENT(PRESENT, .address = LIB + 6 * PAGE, .length = 20 * PAGE, .protection = RW));
	add_mapping(&world, LIB, 4 * PAGE, "/lib/libx.so", PAGE)->protection =
	    PROT_READ | PROT_EXEC;
	add_mapping(&world, LIB + 4 * PAGE, 2 * PAGE, "/lib/libx.so", PAGE)->inode = 5;
	add_mapping(&world, LIB + 6 * PAGE, 20 * PAGE, "", 10 * PAGE);
	attribution = join_world(&world, replay, NULL);
	assert_int_equal(CLASS_OF(attribution, INHERITED, COMMITTED), 10 * PAGE);
	assert_int_equal(CLASS_OF(attribution, MALLOC_RETAINED, COMMITTED), 0);
	vmt_attribution_free(&attribution);
	vmt_replay_free(replay);
}

static void
a_renamed_trace_is_known_by_its_length(void **state)
{
	struct vmt_replay *replay = world_new(0, false);
	struct vmt_attribution_options options = {.trace_name = "moved.vmt",
						  .trace_bytes = 7 * PAGE + 1};
	static struct world_snapshot world;
	struct vmt_attribution attribution;

	(void)state;
	memset(&world, 0, sizeof(world));
	add_mapping(&world, BASE, 8 * PAGE, "/tmp/old.vmt", 2 * PAGE)->shared = 1;
	add_mapping(&world, BASE + MIB, 8 * PAGE, "/tmp/other", PAGE);
	attribution = join_world(&world, replay, &options);
	assert_int_equal(CLASS_OF(attribution, TRACER, COMMITTED), 2 * PAGE);
	assert_int_equal(CLASS_OF(attribution, FILES, COMMITTED), PAGE);
	vmt_attribution_free(&attribution);
	vmt_replay_free(replay);
}

/* Random runs over all of a mapping; bits that can't stand together included. */
static void
random_runs(struct world_snapshot *world, uint64_t start, uint64_t end)
{
	uint64_t run = start;

	while (run < end) {
		uint64_t bytes = (1 + (uint64_t)rand() % 8) * PAGE;

		if (bytes > end - run)
			break;
		add_run(world, run, bytes, 1u << (rand() % 5) | (uint32_t)(rand() % 2));
		run += bytes + (uint64_t)(rand() % 3) * PAGE;
	}
}

/* Returns the end of the last mapping. */
static uint64_t
random_mappings(struct world_snapshot *world)
{
	static const char *const paths[] = {"",	     "",       "",	  "[heap]",   "/lib/x.so",
					    "/data", "[vdso]", "[stack]", "/memfd:a", "[anon:n]"};
	uint64_t address = BASE;

	for (int i = 0; i < 40; i++) {
		uint64_t bytes = (1 + (uint64_t)rand() % 64) * PAGE;
		struct vmt_mapping *mapping =
		    add_mapping(world, address, bytes, paths[rand() % 10], 0);

		mapping->protection = (uint8_t)(rand() % 8);
		mapping->shared = rand() % 4 == 0;
		random_runs(world, address, address + bytes);
		address += bytes + (uint64_t)(rand() % 2) * 16 * PAGE;
	}
	return address;
}

static void
random_event(struct vmt_replay *replay, uint64_t end)
{
	uint64_t where = BASE + (uint64_t)rand() % (end - BASE);
	uint64_t page = where & ~(PAGE - 1);
	uint64_t length = (1 + (uint64_t)rand() % 40) * PAGE;
	uint32_t stack = 1 + (uint32_t)rand() % 6;

	switch (rand() % 8) {
	case 0:
		map_anonymous(replay, page, length, stack);
		break;
	case 1:
		happen(replay, EVENT(MUNMAP, .address = page, .length = length));
		break;
	case 2:
		start_thread(replay, where, rand() % 2 ? length : 0, stack);
		break;
	case 3:
		happen(replay, EVENT(PRESENT, .address = page, .length = length,
				     .argument_b = (uint64_t)rand() % 4));
		break;
	case 4:
		happen(replay,
		       EVENT(MODULE_LOAD, .address = page, .length = length, .argument_b = stack));
		break;
	case 5:
		happen(replay, EVENT(MMAP, .address = page, .length = length, .stack = stack,
				     .flags = MAP_SHARED, .protection = 1));
		break;
	default:
		happen(replay, EVENT(MALLOC, .address = where, .stack = stack,
				     .length = (uint64_t)rand() % 100000));
		break;
	}
}

/* Whatever mappings, runs, events and blocks say: the identity holds (join_world checks it), and of
 * every class the parts are within it. */
static void
random_world(unsigned seed, uint64_t sample_bytes)
{
	struct vmt_replay *replay = world_new(sample_bytes, seed % 3 == 0);
	static struct world_snapshot world;
	struct vmt_attribution attribution;
	uint64_t end;

	srand(seed);
	memset(&world, 0, sizeof(world));
	end = random_mappings(&world);
	for (int i = 0; i < 400; i++)
		random_event(replay, end);
	attribution = join_world(&world, replay, NULL);
	for (int i = 0; i < VMT_CLASSES; i++) {
		const uint64_t *bytes = attribution.classes[i].bytes;

		assert_true(bytes[VMT_AMOUNT_COMMITTED] + bytes[VMT_AMOUNT_SWAPPED] +
				bytes[VMT_AMOUNT_UNTOUCHED] <=
			    bytes[VMT_AMOUNT_RESERVED]);
		assert_true(bytes[VMT_AMOUNT_ACCESSIBLE] <= bytes[VMT_AMOUNT_RESERVED]);
	}
	vmt_attribution_free(&attribution);
	vmt_replay_free(replay);
}

static void
identity_holds_on_random_worlds(void **state)
{
	(void)state;
	for (unsigned seed = 1; seed <= 300; seed++)
		random_world(seed, seed % 2 ? 0 : 64 * KIB);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(empty_snapshot_is_all_zero),
	    cmocka_unit_test(each_class_gets_its_own),
	    cmocka_unit_test(files_add_up_by_path),
	    cmocka_unit_test(one_mapping_of_two_calls_is_cut),
	    cmocka_unit_test(protection_is_the_snapshots),
	    cmocka_unit_test(the_snapshot_wins_over_a_stale_event),
	    cmocka_unit_test(mapped_files_and_segments_have_sites),
	    cmocka_unit_test(bss_ends_with_its_module),
	    cmocka_unit_test(thread_stacks_in_one_mapping_are_cut_at_their_descriptors),
	    cmocka_unit_test(newest_thread_owns_a_stack_that_is_used_again),
	    cmocka_unit_test(stack_of_the_programs_own_memory_stays_the_calls),
	    cmocka_unit_test(present_memory_is_the_loaders_or_inherited),
	    cmocka_unit_test(inherited_memory_above_a_data_segment_is_inherited),
	    cmocka_unit_test(a_renamed_trace_is_known_by_its_length),
	    cmocka_unit_test(identity_holds_on_random_worlds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
