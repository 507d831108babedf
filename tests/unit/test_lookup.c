/* What a hostile or changing file does to who looks into it: nothing. */
#include "tools/read/symbols/lookup.h"

#include "tests/unit/own_file.h"

#include <sys/wait.h>

#define DAMAGED_FILES 40u

static char directory[] = "/tmp/vmtrace-lookup-XXXXXX";
static char copy_path[64];

/* Two functions whose names and lines are asked for. */
__attribute__((noinline, used)) static int
first_function(int number)
{
	return number + 1;
}

__attribute__((noinline, used)) static int
second_function(int number)
{
	return number + 2;
}

static void
answers_are_those_of_symbols(void **state)
{
	struct vmt_lookup *lookup = vmt_lookup_new(NULL);
	struct vmt_symbols *symbols = vmt_symbols_new();
	struct vmt_symbol found[VMT_SYMBOLS_MAX_INLINED];
	struct vmt_symbol wanted[VMT_SYMBOLS_MAX_INLINED];
	struct vmt_module module = own_file_module(copy_path);
	uint64_t address = own_file_address(first_function);

	(void)state;
	own_file_write(copy_path, own.bytes);
	for (unsigned round = 0; round < 2; round++) { /* the second is out of its memory */
		size_t count = vmt_lookup_resolve(lookup, &module, address, found);

		assert_int_equal(count, 1);
		assert_int_equal(vmt_symbols_resolve(symbols, &module, address, wanted), count);
		assert_string_equal(found[0].function, "first_function");
		assert_string_equal(found[0].function, wanted[0].function);
		assert_string_equal(found[0].file, wanted[0].file);
		assert_int_equal(found[0].line, wanted[0].line);
		assert_true(found[0].line > 0);
	}
	assert_true(vmt_lookup_has_debug(lookup, &module));
	assert_null(vmt_lookup_trouble(lookup, &module));
	vmt_lookup_free(lookup);
	vmt_symbols_free(symbols);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* no child is left */
}

/* The child dies by SIGBUS; a second one finds nothing in what is left of the file. */
static void
a_file_that_shrinks_costs_its_names(void **state)
{
	struct vmt_lookup *lookup = vmt_lookup_new(NULL);
	struct vmt_symbol frames[VMT_SYMBOLS_MAX_INLINED];
	struct vmt_module module = own_file_module(copy_path);
	const char *trouble;

	(void)state;
	own_file_write(copy_path, own.bytes);
	assert_int_equal(
	    vmt_lookup_resolve(lookup, &module, own_file_address(first_function), frames), 1);
	assert_int_equal(truncate(copy_path, 4096), 0);
	assert_int_equal(
	    vmt_lookup_resolve(lookup, &module, own_file_address(second_function), frames), 0);
	trouble = vmt_lookup_trouble(lookup, &module);
	assert_non_null(trouble);
	assert_non_null(strstr(trouble, "damaged"));
	/* What was found before stays. */
	assert_int_equal(
	    vmt_lookup_resolve(lookup, &module, own_file_address(first_function), frames), 1);
	assert_string_equal(frames[0].function, "first_function");
	vmt_lookup_free(lookup);
}

/* Bytes changed all over a program: whatever the libraries make of it, the asker lives on, and the
 * next file is answered. */
static void
damaged_files_hold_nobody_up(void **state)
{
	struct vmt_symbol frames[VMT_SYMBOLS_MAX_INLINED];
	struct vmt_module module = own_file_module(copy_path);
	uint32_t random = 7;

	(void)state;
	for (unsigned i = 0; i < DAMAGED_FILES; i++) {
		struct vmt_lookup *lookup = vmt_lookup_new(NULL);
		unsigned char *bytes = malloc(own.length);

		assert_non_null(bytes);
		memcpy(bytes, own.bytes, own.length);
		for (unsigned flips = 0; flips < 4096; flips++) {
			random = random * 1664525u + 1013904223u;
			bytes[64 + random % (own.length - 64)] ^= (unsigned char)(random >> 24);
		}
		own_file_write(copy_path, bytes);
		free(bytes);
		assert_true(vmt_lookup_resolve(lookup, &module, own_file_address(first_function),
					       frames) <= VMT_SYMBOLS_MAX_INLINED);
		vmt_lookup_free(lookup);
	}
}

static void
what_no_table_can_hold_is_not_asked(void **state)
{
	struct vmt_lookup *lookup = vmt_lookup_new(NULL);
	struct vmt_symbol frames[VMT_SYMBOLS_MAX_INLINED];
	struct vmt_module module = own_file_module(copy_path);

	(void)state;
	module.path_bytes = VMT_MODULE_PATH_MAX_BYTES + 1;
	assert_int_equal(vmt_lookup_resolve(lookup, &module, 1, frames), 0);
	assert_null(vmt_lookup_trouble(lookup, &module));
	vmt_lookup_free(lookup);
}

static int
set_up(void **state)
{
	(void)state;
	if (!own_file_load() || !mkdtemp(directory))
		return 1;
	snprintf(copy_path, sizeof(copy_path), "%s/copy", directory);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	free(own.bytes);
	unlink(copy_path);
	return rmdir(directory);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(answers_are_those_of_symbols),
	    cmocka_unit_test(a_file_that_shrinks_costs_its_names),
	    cmocka_unit_test(damaged_files_hold_nobody_up),
	    cmocka_unit_test(what_no_table_can_hold_is_not_asked),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
