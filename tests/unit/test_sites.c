/* Sites and the modules of their time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tools/model/space/sites.h"

#define PROGRAM UINT64_C(0x400000)
#define PLUGIN UINT64_C(0x7f0000000000)

/* Stack n: one frame in the plugin, one in the program. */
static const uint64_t *
stack_of(void *context, uint32_t id, uint32_t *frames)
{
	static uint64_t addresses[2];

	(void)context;
	if (id >= 1000000) {
		*frames = 0;
		return NULL;
	}
	addresses[0] = PLUGIN + id * 16;
	addresses[1] = PROGRAM + id;
	*frames = 2;
	return addresses;
}

struct fixture {
	struct vmt_module_history *history;
	struct vmt_sites *sites;
};

static struct fixture
set_up(void)
{
	struct vmt_stack_source source = {stack_of, NULL};
	struct fixture fixture = {.history = vmt_module_history_new()};

	fixture.sites = vmt_sites_new(fixture.history, source);
	assert_non_null(fixture.sites);
	return fixture;
}

static void
tear_down(struct fixture *fixture)
{
	vmt_sites_free(fixture->sites);
	vmt_module_history_free(fixture->history);
}

static void
load(struct fixture *fixture, uint64_t low, uint64_t length, uint32_t module)
{
	struct vmt_span span = {low, low + length, low - 0x1000, module};

	assert_int_equal(vmt_module_history_load(fixture->history, &span), 0);
	vmt_sites_loaded(fixture->sites);
}

static uint32_t
intern(struct fixture *fixture, uint8_t kind, uint32_t stack, uint16_t advice)
{
	struct vmt_site_key key = {.kind = kind, .stack = stack, .advice = advice};
	uint32_t site;

	assert_int_equal(vmt_sites_intern(fixture->sites, key, &site), 0);
	return site;
}

/* Module at a frame of a site; 0 = none. */
static uint32_t
module_at(struct fixture *fixture, uint32_t site, uint32_t frame)
{
	uint32_t span = vmt_sites_spans(fixture->sites, vmt_sites_get(fixture->sites, site))[frame];

	return span ? vmt_module_history_span(fixture->history, span)->module : 0;
}

static void
eras_follow_loads_and_unloads(void **state)
{
	struct fixture fixture = set_up();
	uint32_t first;

	(void)state;
	load(&fixture, PROGRAM, 0x2000, 8);
	load(&fixture, PLUGIN, 0x3000, 16);
	assert_int_equal(vmt_module_history_find(fixture.history, PROGRAM - 1), 0);
	first = vmt_module_history_find(fixture.history, PLUGIN + 0x2fff);
	assert_int_equal(vmt_module_history_span(fixture.history, first)->module, 16);
	assert_int_equal(vmt_module_history_find(fixture.history, PLUGIN + 0x3000), 0);
	assert_int_equal(vmt_module_history_next(fixture.history, PROGRAM + 0x2000), first);
	vmt_module_history_unload(fixture.history, PLUGIN, 99); /* not that module */
	assert_int_equal(vmt_module_history_find(fixture.history, PLUGIN), first);
	vmt_module_history_unload(fixture.history, PLUGIN, 16);
	assert_int_equal(vmt_module_history_find(fixture.history, PLUGIN), 0);
	load(&fixture, PLUGIN, 0x3000, 16);
	assert_int_equal(vmt_module_history_find(fixture.history, PLUGIN), first);
	/* an unload that was not seen */
	load(&fixture, PLUGIN + 0x1000, 0x1000, 24);
	assert_int_equal(vmt_module_history_find(fixture.history, PLUGIN), 0);
	assert_int_equal(
	    vmt_module_history_span(fixture.history,
				    vmt_module_history_find(fixture.history, PLUGIN + 0x1000))
		->module,
	    24);
	tear_down(&fixture);
}

static void
a_thousand_modules_are_found_again(void **state)
{
	struct fixture fixture = set_up();

	(void)state;
	for (uint32_t i = 0; i < 1000; i++)
		load(&fixture, PLUGIN + i * 0x10000, 0x8000, i + 1);
	for (uint32_t i = 0; i < 1000; i += 2)
		vmt_module_history_unload(fixture.history, PLUGIN + i * 0x10000, i + 1);
	for (uint32_t i = 0; i < 1000; i++) {
		uint32_t span =
		    vmt_module_history_find(fixture.history, PLUGIN + i * 0x10000 + 0x7fff);

		if (i % 2)
			assert_int_equal(vmt_module_history_span(fixture.history, span)->module,
					 i + 1);
		else
			assert_int_equal(span, 0);
	}
	tear_down(&fixture);
}

static void
kind_stack_and_advice_make_a_site(void **state)
{
	struct fixture fixture = set_up();
	uint32_t site = intern(&fixture, 33, 1, 0);

	(void)state;
	assert_int_equal(intern(&fixture, 33, 1, 0), site);
	assert_int_not_equal(intern(&fixture, 34, 1, 0), site);
	assert_int_not_equal(intern(&fixture, 33, 2, 0), site);
	assert_int_not_equal(intern(&fixture, 33, 1, 4), site);
	assert_int_equal(vmt_sites_count(fixture.sites), 4);
	for (uint32_t stack = 10; stack < 5000; stack++)
		intern(&fixture, 33, stack, 0);
	assert_int_equal(intern(&fixture, 33, 1, 0), site);
	assert_int_equal(vmt_sites_count(fixture.sites), 4 + 4990);
	tear_down(&fixture);
}

static void
same_addresses_under_another_module_are_another_site(void **state)
{
	struct fixture fixture = set_up();
	uint32_t first;
	uint32_t second;

	(void)state;
	load(&fixture, PROGRAM, 0x100000, 8);
	load(&fixture, PLUGIN, 0x100000, 16);
	first = intern(&fixture, 33, 5, 0);
	vmt_module_history_unload(fixture.history, PLUGIN, 16);
	load(&fixture, PLUGIN, 0x100000, 24);
	second = intern(&fixture, 33, 5, 0);
	assert_int_not_equal(first, second);
	assert_int_equal(module_at(&fixture, first, 0), 16);
	assert_int_equal(module_at(&fixture, second, 0), 24);
	assert_int_equal(module_at(&fixture, second, 1), 8);
	/* the first file comes back to its place: the same code again */
	vmt_module_history_unload(fixture.history, PLUGIN, 24);
	load(&fixture, PLUGIN, 0x100000, 16);
	assert_int_equal(intern(&fixture, 33, 5, 0), first);
	assert_int_equal(intern(&fixture, 33, 5, 0), first);
	tear_down(&fixture);
}

static void
unrelated_loads_make_no_variant(void **state)
{
	struct fixture fixture = set_up();
	uint32_t first;

	(void)state;
	load(&fixture, PROGRAM, 0x100000, 8);
	load(&fixture, PLUGIN, 0x100000, 16);
	first = intern(&fixture, 33, 5, 0);
	for (uint32_t i = 0; i < 100; i++) {
		load(&fixture, PLUGIN + 0x10000000, 0x1000, 32);
		assert_int_equal(intern(&fixture, 33, 5, 0), first);
		vmt_module_history_unload(fixture.history, PLUGIN + 0x10000000, 32);
		assert_int_equal(intern(&fixture, 33, 5, 0), first);
	}
	assert_int_equal(vmt_sites_count(fixture.sites), 1);
	tear_down(&fixture);
}

static void
variants_survive_growth_of_the_table(void **state)
{
	struct fixture fixture = set_up();
	uint32_t variants[3];

	(void)state;
	for (uint32_t i = 0; i < 3; i++) {
		load(&fixture, PLUGIN, 0x100000, 16 + i);
		variants[i] = intern(&fixture, 33, 5, 0);
	}
	for (uint32_t stack = 10; stack < 3000; stack++)
		intern(&fixture, 33, stack, 0);
	for (uint32_t i = 0; i < 3; i++) {
		load(&fixture, PLUGIN, 0x100000, 16 + i);
		assert_int_equal(intern(&fixture, 33, 5, 0), variants[i]);
	}
	tear_down(&fixture);
}

/* A constructor allocates before dlopen returns, so before its module is announced. */
static void
constructors_get_the_module_that_is_announced_next(void **state)
{
	struct fixture fixture = set_up();
	uint32_t early;
	uint32_t later;

	(void)state;
	load(&fixture, PROGRAM, 0x100000, 8);
	early = intern(&fixture, 1, 5, 0);
	assert_int_equal(module_at(&fixture, early, 0), 0);
	load(&fixture, PLUGIN, 0x100000, 16);
	assert_int_equal(module_at(&fixture, early, 0), 16);
	later = intern(&fixture, 1, 5, 0);
	assert_int_equal(later, early);
	tear_down(&fixture);
}

static void
merge_joins_what_turned_out_the_same(void **state)
{
	struct fixture fixture = set_up();
	uint32_t first;
	uint32_t second;

	(void)state;
	load(&fixture, PROGRAM, 0x100000, 8);
	load(&fixture, PLUGIN, 0x100000, 16);
	first = intern(&fixture, 1, 5, 0);
	vmt_module_history_unload(fixture.history, PLUGIN, 16);
	second = intern(&fixture, 1, 5, 0); /* in the constructor, the second time */
	assert_int_not_equal(first, second);
	load(&fixture, PLUGIN, 0x100000, 16);
	vmt_sites_get(fixture.sites, first)->exact[VMT_FIGURE_COUNT] = 3;
	vmt_sites_get(fixture.sites, second)->exact[VMT_FIGURE_COUNT] = 4;
	vmt_sites_get(fixture.sites, second)->estimate[VMT_FIGURE_COUNT] = 2.5;
	vmt_sites_merge(fixture.sites);
	assert_int_equal(vmt_sites_figure(vmt_sites_get(fixture.sites, first), VMT_FIGURE_COUNT),
			 10);
	assert_int_equal(vmt_sites_figure(vmt_sites_get(fixture.sites, second), VMT_FIGURE_COUNT),
			 0);
	tear_down(&fixture);
}

static void
figures_round_and_never_fall_below_zero(void **state)
{
	struct vmt_site_entry entry = {.frames = 0};

	(void)state;
	entry.exact[VMT_FIGURE_COMMITTED] = 10;
	entry.estimate[VMT_FIGURE_COMMITTED] = 0.6;
	assert_int_equal(vmt_sites_figure(&entry, VMT_FIGURE_COMMITTED), 11);
	entry.estimate[VMT_FIGURE_COMMITTED] = -3.4;
	assert_int_equal(vmt_sites_figure(&entry, VMT_FIGURE_COMMITTED), 7);
	entry.estimate[VMT_FIGURE_COMMITTED] = -30;
	assert_int_equal(vmt_sites_figure(&entry, VMT_FIGURE_COMMITTED), 0);
}

static void
stack_that_is_not_there_has_no_frames(void **state)
{
	struct fixture fixture = set_up();
	uint32_t none = intern(&fixture, 33, 0, 0);
	uint32_t bad = intern(&fixture, 33, 1000001, 0);

	(void)state;
	load(&fixture, PLUGIN, 0x1000, 8);
	assert_int_equal(intern(&fixture, 33, 0, 0), none);
	assert_int_equal(intern(&fixture, 33, 1000001, 0), bad);
	assert_null(vmt_sites_spans(fixture.sites, vmt_sites_get(fixture.sites, none)));
	assert_null(vmt_sites_spans(fixture.sites, vmt_sites_get(fixture.sites, bad)));
	tear_down(&fixture);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(eras_follow_loads_and_unloads),
	    cmocka_unit_test(a_thousand_modules_are_found_again),
	    cmocka_unit_test(kind_stack_and_advice_make_a_site),
	    cmocka_unit_test(same_addresses_under_another_module_are_another_site),
	    cmocka_unit_test(unrelated_loads_make_no_variant),
	    cmocka_unit_test(variants_survive_growth_of_the_table),
	    cmocka_unit_test(constructors_get_the_module_that_is_announced_next),
	    cmocka_unit_test(merge_joins_what_turned_out_the_same),
	    cmocka_unit_test(figures_round_and_never_fall_below_zero),
	    cmocka_unit_test(stack_that_is_not_there_has_no_frames),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
