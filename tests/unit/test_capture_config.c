#include "capture/core/config.h"

#include "collect/bound.h"
#include "format/chunk.h"
#include "format/settings.h"
#include "format/stack_table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const char *
read_one(struct vmt_config *config, const char *entry)
{
	char text[2 * VMT_CONFIG_TEXT_BYTES];
	char *environment[] = {text, NULL};

	assert_true(strlen(entry) < sizeof(text));
	memcpy(text, entry, strlen(entry) + 1);
	return vmt_config_read(config, environment);
}

static void
defaults_are_what_is_documented(void **state)
{
	char *const empty[] = {NULL};
	struct vmt_config config;

	(void)state;
	assert_null(vmt_config_read(&config, empty));
	assert_string_equal(config.output, "vmtrace.%n.%p.vmt");
	assert_int_equal(config.malloc_mode, VMT_MALLOC_SAMPLED);
	assert_int_equal(config.malloc_sample_bytes, 65536);
	assert_int_equal(config.stack_depth, 30);
	assert_int_equal(config.exit_wait_ns, 20000000);
	assert_true(config.max_bytes == UINT64_C(2) << 30);
	assert_int_equal(config.buffer_bytes, 0);
	assert_int_equal(config.stacks, VMT_CONFIG_STACKS_AUTO);
	assert_int_equal(config.residency_source, VMT_RESIDENCY_NONE);
	assert_int_equal(config.touch_period, VMT_PERIOD_OFF);
	assert_true(config.follow_fork && config.follow_exec);
	assert_true(config.cmdline && config.go);
	assert_false(config.verbose);
	assert_string_equal(config.only, "");
	assert_string_equal(config.session, "");
}

static void
bounds_are_those_of_what_they_bound(void **state)
{
	(void)state;
	assert_int_equal(vmt_settings[VMT_SETTING_DEPTH].most, VMT_STACK_MAX_FRAMES);
	assert_int_equal(vmt_settings[VMT_SETTING_MAX_SIZE].least, VMT_BOUND_LEAST_BYTES);
	assert_string_equal(vmt_settings[VMT_SETTING_MAX_FILES].wanted, "a number from 1 to 65536");
}

/* Every default is a value as a user would give it. */
static void
defaults_are_understood(void **state)
{
	struct vmt_config of_defaults, config;
	char *const empty[] = {NULL};
	char entry[VMT_CONFIG_TEXT_BYTES];

	(void)state;
	assert_null(vmt_config_read(&of_defaults, empty));
	for (unsigned i = 0; i < VMT_SETTINGS; i++) {
		if (!vmt_settings[i].fallback)
			continue;
		snprintf(entry, sizeof(entry), "%s=%s", vmt_settings[i].variable,
			 vmt_settings[i].fallback);
		assert_null(read_one(&config, entry));
		assert_memory_equal(&config, &of_defaults, sizeof(config));
	}
}

static void
sizes_have_units(void **state)
{
	static const struct {
		const char *text;
		uint64_t bytes;
	} cases[] = {{"VMTRACE_BUFFER=4096", 4096},  {"VMTRACE_BUFFER=8K", 8192},
		     {"VMTRACE_BUFFER=8KiB", 8192},  {"VMTRACE_BUFFER=8kb", 8192},
		     {"VMTRACE_BUFFER=2M", 2097152}, {"VMTRACE_BUFFER=1GiB", 1073741824},
		     {"VMTRACE_BUFFER=2048b", 2048}};
	struct vmt_config config;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_null(read_one(&config, cases[i].text));
		assert_int_equal(config.buffer_bytes, cases[i].bytes);
	}
}

static void
malloc_modes(void **state)
{
	struct vmt_config config;

	(void)state;
	assert_null(read_one(&config, "VMTRACE_MALLOC=off"));
	assert_int_equal(config.malloc_mode, VMT_MALLOC_OFF);
	assert_null(read_one(&config, "VMTRACE_MALLOC=all"));
	assert_int_equal(config.malloc_mode, VMT_MALLOC_ALL);
	assert_null(read_one(&config, "VMTRACE_MALLOC=sampled"));
	assert_int_equal(config.malloc_sample_bytes, 65536);
	assert_null(read_one(&config, "VMTRACE_MALLOC=sampled:512KiB"));
	assert_int_equal(config.malloc_mode, VMT_MALLOC_SAMPLED);
	assert_int_equal(config.malloc_sample_bytes, 524288);
}

static void
durations_have_units(void **state)
{
	struct vmt_config config;

	(void)state;
	assert_null(read_one(&config, "VMTRACE_INTERVAL=20"));
	assert_int_equal(config.interval_ns, 20000000);
	assert_null(read_one(&config, "VMTRACE_INTERVAL=3s"));
	assert_int_equal(config.interval_ns, 3000000000);
	assert_null(read_one(&config, "VMTRACE_INTERVAL=250us"));
	assert_int_equal(config.interval_ns, 250000);
}

static void
follow_is_two_switches(void **state)
{
	static const struct {
		const char *text;
		bool fork;
		bool exec;
	} cases[] = {{"VMTRACE_FOLLOW=none", false, false},
		     {"VMTRACE_FOLLOW=fork", true, false},
		     {"VMTRACE_FOLLOW=exec", false, true},
		     {"VMTRACE_FOLLOW=all", true, true}};
	struct vmt_config config;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_null(read_one(&config, cases[i].text));
		assert_int_equal(config.follow_fork, cases[i].fork);
		assert_int_equal(config.follow_exec, cases[i].exec);
	}
}

static void
words_are_known(void **state)
{
	struct vmt_config config;

	(void)state;
	assert_null(read_one(&config, "VMTRACE_STACKS=cfi"));
	assert_int_equal(config.stacks, VMT_CONFIG_STACKS_CFI);
	assert_null(read_one(&config, "VMTRACE_STACKS=libunwind"));
	assert_int_equal(config.stacks, VMT_CONFIG_STACKS_LIBUNWIND);
	assert_null(read_one(&config, "VMTRACE_STACKS=fp"));
	assert_int_equal(config.stacks, VMT_CONFIG_STACKS_FP);
	assert_null(read_one(&config, "VMTRACE_STACKS=checked"));
	assert_int_equal(config.stacks, VMT_CONFIG_STACKS_CHECKED);
	assert_null(read_one(&config, "VMTRACE_RESIDENCY=pagemap-scan"));
	assert_int_equal(config.residency_source, VMT_RESIDENCY_PAGEMAP_SCAN);
	assert_null(read_one(&config, "VMTRACE_RESIDENCY=pagemap"));
	assert_int_equal(config.residency_source, VMT_RESIDENCY_PAGEMAP);
	assert_null(read_one(&config, "VMTRACE_RESIDENCY=mincore"));
	assert_int_equal(config.residency_source, VMT_RESIDENCY_MINCORE);
	assert_null(read_one(&config, "VMTRACE_TOUCH=61"));
	assert_int_equal(config.touch_period, 61);
	assert_null(read_one(&config, "VMTRACE_TOUCH=auto"));
	assert_true(config.touch_period == VMT_PERIOD_AUTO);
	assert_null(read_one(&config, "VMTRACE_TOUCH=off"));
	assert_int_equal(config.touch_period, VMT_PERIOD_OFF);
	assert_null(read_one(&config, "VMTRACE_VERBOSE=1"));
	assert_true(config.verbose);
	assert_null(read_one(&config, "VMTRACE_VERBOSE=0"));
	assert_false(config.verbose);
	assert_null(read_one(&config, "VMTRACE_DEPTH=128"));
	assert_int_equal(config.stack_depth, VMT_STACK_MAX_FRAMES);
	assert_false(config.has_seed);
	assert_null(read_one(&config, "VMTRACE_SEED=0"));
	assert_true(config.has_seed);
	assert_null(read_one(&config, "VMTRACE_SEED=18446744073709551615"));
	assert_true(config.seed == UINT64_MAX);
	assert_null(read_one(&config, "VMTRACE_MAX_SIZE=0"));
	assert_true(config.max_bytes == 0);
	assert_null(read_one(&config, "VMTRACE_MAX_SIZE=1MiB"));
	assert_true(config.max_bytes == 1 << 20);
	assert_null(read_one(&config, "VMTRACE_CMDLINE=0"));
	assert_false(config.cmdline);
	assert_null(read_one(&config, "VMTRACE_CMDLINE=1"));
	assert_true(config.cmdline && config.go);
	assert_null(read_one(&config, "VMTRACE_GO=off"));
	assert_false(config.go);
	assert_false(config.go_heap);
	assert_null(read_one(&config, "VMTRACE_GO_HEAP=1"));
	assert_true(config.go_heap);
	assert_null(read_one(&config, "VMTRACE_GO=on"));
	assert_true(config.go);
	assert_null(read_one(&config, "VMTRACE_SESSION=/tmp/s"));
	assert_string_equal(config.session, "/tmp/s");
}

static void
what_is_not_understood_is_named(void **state)
{
	static const char *const bad[] = {
	    "VMTRACE_MALLOC=some",  "VMTRACE_MALLOC=sampled:0",
	    "VMTRACE_MALLOC=all:5", "VMTRACE_MALLOC=sampled:1x",
	    "VMTRACE_DEPTH=0",	    "VMTRACE_DEPTH=129",
	    "VMTRACE_DEPTH=3 ",	    "VMTRACE_BUFFER=10KiBs",
	    "VMTRACE_BUFFER=-1",    "VMTRACE_BUFFER=999999999T",
	    "VMTRACE_BUFFER=12",    "VMTRACE_FOLLOW=everything",
	    "VMTRACE_STACKS=dwarf", "VMTRACE_RESIDENCY=smaps",
	    "VMTRACE_INTERVAL=3m",  "VMTRACE_BUFFER=18446744073709551616",
	    "VMTRACE_GO=yes",	    "VMTRACE_SEED=18446744073709551616",
	    "VMTRACE_SEED=1x",	    "VMTRACE_SEED=-1",
	    "VMTRACE_FOLLOW=al",    "VMTRACE_STACKS=auto,",
	    "VMTRACE_FOLLOW=none,", "VMTRACE_MAX_SIZE=1023KiB",
	    "VMTRACE_INTERVAL=3,",  "VMTRACE_MALLOC=,",
	    "VMTRACE_TOUCH=0",	    "VMTRACE_TOUCH=1000000001",
	    "VMTRACE_TOUCH=61x",    "VMTRACE_TOUCH=on",
	};
	struct vmt_config config;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		const char *named = read_one(&config, bad[i]);

		const char *value = strchr(bad[i], '=') + 1;
		size_t name_bytes = (size_t)(value - 1 - bad[i]);

		assert_non_null(named);
		assert_memory_equal(named, bad[i], name_bytes);
		assert_memory_equal(named + name_bytes, ": '", 3);
		assert_memory_equal(named + name_bytes + 3, value, strlen(value));
		assert_memory_equal(named + name_bytes + 3 + strlen(value), "' is not ", 9);
	}
	assert_string_equal(read_one(&config, "VMTRACE_MALLOC=bla"),
			    "VMTRACE_MALLOC: 'bla' is not one of off, sampled[:BYTES], all");
}

static void
empty_and_foreign_variables_change_nothing(void **state)
{
	char *const environment[] = {(char[]){"VMTRACE_MALLOC="}, (char[]){"VMTRACE_DEPTH2=7"},
				     (char[]){"PATH=/bin"}, (char[]){"odd"}, NULL};
	struct vmt_config config;

	(void)state;
	assert_null(vmt_config_read(&config, environment));
	assert_int_equal(config.malloc_mode, VMT_MALLOC_SAMPLED);
	assert_int_equal(config.stack_depth, 30);
}

static void
a_path_that_is_too_long_is_refused(void **state)
{
	char entry[VMT_CONFIG_TEXT_BYTES + 64] = "VMTRACE_OUTPUT=";
	size_t name = strlen(entry);
	struct vmt_config config;

	(void)state;
	memset(entry + name, 'x', VMT_CONFIG_TEXT_BYTES);
	assert_non_null(strstr(read_one(&config, entry), "VMTRACE_OUTPUT: 'xxx"));
	assert_non_null(strstr(read_one(&config, entry), "xxx...' is not short enough"));
	entry[name + VMT_CONFIG_TEXT_BYTES - 1] = '\0';
	assert_null(read_one(&config, entry));
	assert_int_equal(strlen(config.output), VMT_CONFIG_TEXT_BYTES - 1);
}

static void
globs(void **state)
{
	(void)state;
	assert_true(vmt_config_matches("", "anything"));
	assert_true(vmt_config_matches("redis-server", "redis-server"));
	assert_false(vmt_config_matches("redis", "redis-server"));
	assert_true(vmt_config_matches("redis*", "redis-server"));
	assert_true(vmt_config_matches("*server", "redis-server"));
	assert_true(vmt_config_matches("*s*r*", "redis-server"));
	assert_false(vmt_config_matches("*sx*", "redis-server"));
	assert_true(vmt_config_matches("python3.??", "python3.11"));
	assert_false(vmt_config_matches("python3.??", "python3.9"));
	assert_true(vmt_config_matches("a:b,c*", "cat"));
	assert_false(vmt_config_matches("a:b,c*", "dog"));
	assert_true(vmt_config_matches("*aab", "aaaaaab"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(defaults_are_what_is_documented),
	    cmocka_unit_test(bounds_are_those_of_what_they_bound),
	    cmocka_unit_test(defaults_are_understood),
	    cmocka_unit_test(sizes_have_units),
	    cmocka_unit_test(malloc_modes),
	    cmocka_unit_test(durations_have_units),
	    cmocka_unit_test(follow_is_two_switches),
	    cmocka_unit_test(words_are_known),
	    cmocka_unit_test(what_is_not_understood_is_named),
	    cmocka_unit_test(empty_and_foreign_variables_change_nothing),
	    cmocka_unit_test(a_path_that_is_too_long_is_refused),
	    cmocka_unit_test(globs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
