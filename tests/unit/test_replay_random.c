/* Random calls against a model of the address space with one entry a page. */
#include "tests/unit/model_world.h"

#define PAGES 256u
#define STACKS 5u

struct model_page {
	uint32_t call; /* 0 = free */
	uint32_t stack;
	uint8_t kind;
	bool committed;
};

struct model {
	struct vmt_replay *replay;
	struct model_page pages[PAGES];
	uint32_t calls;
	struct {
		uint64_t count, reserved, released, released_committed;
	} figures[2][STACKS + 1]; /* mmap, mremap */
};

static int
row_of(uint8_t kind)
{
	return kind == VMT_EVENT_MREMAP;
}

static uint64_t
committed_pages(const struct model *model, uint64_t from, uint64_t to)
{
	uint64_t committed = 0;

	for (uint64_t page = from; page < to; page++)
		committed += model->pages[page].committed;
	return committed;
}

/* Releases pages. Their committed bytes are all committed or none, so that shares by length are
 * the pages' own. */
static void
model_release(struct model *model, uint64_t from, uint64_t to, bool committed)
{
	for (uint64_t page = from; page < to; page++) {
		struct model_page *found = &model->pages[page];

		if (!found->call)
			continue;
		model->figures[row_of(found->kind)][found->stack].released += PAGE;
		if (committed)
			model->figures[row_of(found->kind)][found->stack].released_committed +=
			    found->committed ? PAGE : 0;
		memset(found, 0, sizeof(*found));
	}
}

static void
model_acquire(struct model *model, uint64_t from, uint64_t to, uint8_t kind, uint32_t stack)
{
	model->calls++;
	for (uint64_t page = from; page < to; page++)
		model->pages[page] = (struct model_page){model->calls, stack, kind, false};
	model->figures[row_of(kind)][stack].count++;
	model->figures[row_of(kind)][stack].reserved += (to - from) * PAGE;
}

/* All pages of the range get the same residency, so that the split by length is exact. */
static uint64_t
touch_alike(struct model *model, uint64_t from, uint64_t to)
{
	bool committed = rand() % 2;

	for (uint64_t page = from; page < to; page++)
		model->pages[page].committed = model->pages[page].call && committed;
	return committed_pages(model, from, to) * PAGE;
}

static uint64_t
at(uint64_t page)
{
	return BASE + page * PAGE;
}

static void
random_munmap(struct model *model, uint64_t from, uint64_t to)
{
	uint64_t committed = touch_alike(model, from, to);
	bool fails = rand() % 5 == 0;

	happen(model->replay, EVENT(MUNMAP, .address = at(from), .length = (to - from) * PAGE,
				    .argument_a = committed));
	if (fails)
		happen(model->replay, EVENT(MAP_UNDO, .address = at(from),
					    .length = (to - from) * PAGE, .error = 12));
	else
		model_release(model, from, to, true);
}

static void
random_mmap(struct model *model, uint64_t from, uint64_t to)
{
	uint32_t stack = 1 + (uint32_t)rand() % STACKS;
	uint64_t committed = touch_alike(model, from, to);

	happen(model->replay, EVENT(MMAP_BEGIN, .address = at(from), .length = (to - from) * PAGE,
				    .argument_a = committed));
	model_release(model, from, to, true);
	map_anonymous(model->replay, at(from), (to - from) * PAGE, stack);
	model_acquire(model, from, to, VMT_EVENT_MMAP, stack);
}

static void
random_advice(struct model *model, uint64_t from, uint64_t to)
{
	uint64_t committed = touch_alike(model, from, to);

	happen(model->replay, EVENT(MADVISE, .address = at(from), .length = (to - from) * PAGE,
				    .argument_a = committed, .advice = MADV_DONTNEED));
	for (uint64_t page = from; page < to; page++) {
		struct model_page *found = &model->pages[page];

		if (found->committed)
			model->figures[row_of(found->kind)][found->stack].released_committed +=
			    PAGE;
		found->committed = false;
	}
}

/* A whole extent of one call shrinks, grows or moves. */
static void
random_mremap(struct model *model, uint64_t from, uint64_t to)
{
	uint64_t length = 1 + (uint64_t)rand() % 20;
	uint64_t end = from;
	uint64_t target;
	uint64_t committed = 0;
	uint32_t stack = 1 + (uint32_t)rand() % STACKS;
	bool shrinks;

	(void)to;
	while (end < PAGES && model->pages[end].call &&
	       model->pages[end].call == model->pages[from].call)
		end++;
	if (end == from)
		return;
	shrinks = length <= end - from;
	for (target = 0; target + length <= PAGES && !shrinks; target++) {
		bool is_free = true;

		for (uint64_t page = target; page < target + length; page++)
			is_free &= !model->pages[page].call;
		if (is_free)
			break;
	}
	if (shrinks)
		target = from;
	else if (target + length > PAGES)
		return;
	if (shrinks && from + length < end)
		committed = touch_alike(model, from + length, end);
	happen(model->replay,
	       EVENT(MREMAP_BEGIN, .address = at(from), .length = (end - from) * PAGE,
		     .argument_a = committed, .argument_b = length * PAGE, .stack = stack));
	happen(model->replay,
	       EVENT(MREMAP, .address = at(target), .length = length * PAGE, .argument_a = at(from),
		     .argument_b = (end - from) * PAGE, .stack = stack));
	if (shrinks) {
		model_release(model, from + length, end, true);
		return;
	}
	model_release(model, from, end, false);
	model_acquire(model, target, target + length, VMT_EVENT_MREMAP, stack);
}

static void
assert_same(struct model *model)
{
	struct vmt_replay *replay = model->replay;

	for (uint64_t page = 0; page < PAGES; page++) {
		const struct model_page *expected = &model->pages[page];

		assert_owner(replay, at(page), expected->call ? expected->kind : 0,
			     expected->stack);
	}
	for (uint32_t i = 0; i < vmt_sites_count(replay->sites); i++) {
		const struct vmt_site_entry *entry = vmt_sites_get(replay->sites, i);
		int row = row_of(entry->key.kind);
		uint32_t stack = entry->key.stack;

		if (entry->key.kind == VMT_EVENT_MADVISE)
			continue;
		assert_int_equal(entry->exact[VMT_FIGURE_COUNT], model->figures[row][stack].count);
		assert_int_equal(entry->exact[VMT_FIGURE_TOTAL_RESERVED],
				 model->figures[row][stack].reserved);
		assert_int_equal(entry->exact[VMT_FIGURE_RELEASED],
				 model->figures[row][stack].released);
		assert_int_equal(entry->exact[VMT_FIGURE_RELEASED_COMMITTED],
				 model->figures[row][stack].released_committed);
	}
	assert_int_equal(replay->double_acquisitions, 0);
}

static void
random_calls_equal_a_page_array(void **state)
{
	static void (*const steps[])(struct model *, uint64_t, uint64_t) = {
	    random_munmap, random_mmap, random_mmap, random_advice, random_mremap};

	(void)state;
	for (unsigned seed = 1; seed <= 10; seed++) {
		struct model model = {.replay = world_new(0, false)};

		srand(seed);
		for (int i = 0; i < 1500; i++) {
			uint64_t from = (uint64_t)rand() % PAGES;
			uint64_t to = from + 1 + (uint64_t)rand() % 24;

			steps[rand() % 5](&model, from, to > PAGES ? PAGES : to);
			if (i % 20 == 0)
				assert_same(&model);
		}
		assert_same(&model);
		vmt_replay_free(model.replay);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(random_calls_equal_a_page_array),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
