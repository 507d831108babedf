/* Names out of an earlier run: what comes from there, and what must not. */
#include "tools/read/elf/elf_symbols.h"
#include "tools/read/symbols/disk_cache.h"
#include "tools/read/symbols/file_identity.h"
#include "tools/read/symbols/lookup.h"

#include "tests/unit/own_file.h"

#include <dirent.h>
#include <sys/wait.h>
#include <time.h>

#define SPELLED "kept_function"
#define FORGED "fake_function"

static char directory[] = "/tmp/vmtrace-kept-XXXXXX";
static char path[64];

__attribute__((noinline, used)) static int
kept_function(int number)
{
	return number + 1;
}

__attribute__((noinline, used)) static int
other_function(int number)
{
	return number + 2;
}

/* Waits until a change of the file would show. */
static void
settle(const char *file)
{
	const struct timespec pause = {0, 20000000};
	struct vmt_file_identity identity = vmt_file_identity_of(file);

	while (!vmt_file_identity_is_settled(&identity))
		nanosleep(&pause, NULL);
}

/* The program with another name for its function, wherever that stands. */
static void
write_forged(const char *file)
{
	unsigned char *bytes = malloc(own.length);
	size_t length = strlen(SPELLED);

	assert_non_null(bytes);
	memcpy(bytes, own.bytes, own.length);
	for (unsigned char *at = bytes;
	     (at = memmem(at, own.length - (size_t)(at - bytes), SPELLED, length)); at += length)
		memcpy(at, FORGED, length);
	own_file_write(file, bytes);
	free(bytes);
}

/* The function's name in a run of its own; whether a child had to be asked. */
static bool
look(const struct vmt_module *module, int (*function)(int), const char *name)
{
	struct vmt_lookup_options options = {.cache = vmt_disk_cache_open()};
	struct vmt_lookup *lookup = vmt_lookup_new(&options);
	struct vmt_symbol frames[VMT_SYMBOLS_MAX_INLINED];
	bool asked;

	assert_non_null(options.cache);
	assert_int_equal(vmt_lookup_resolve(lookup, module, own_file_address(function), frames), 1);
	assert_string_equal(frames[0].function, name);
	assert_true(frames[0].line > 0);
	assert_true(vmt_lookup_has_debug(lookup, module));
	assert_null(vmt_lookup_trouble(lookup, module));
	asked = waitpid(-1, NULL, WNOHANG) == 0;
	vmt_lookup_free(lookup);
	vmt_disk_cache_close(options.cache);
	return asked;
}

static void
a_second_run_asks_nobody(void **state)
{
	struct vmt_module module = own_file_module(path);

	(void)state;
	own_file_write(path, own.bytes);
	settle(path);
	assert_true(look(&module, kept_function, SPELLED));
	assert_false(look(&module, kept_function, SPELLED));
	/* What the first did not ask is asked, and both are known from then on. */
	assert_true(look(&module, other_function, "other_function"));
	assert_false(look(&module, other_function, "other_function"));
	assert_false(look(&module, kept_function, SPELLED));
}

static void
go_members_are_kept_too(void **state)
{
	struct vmt_module module = own_file_module(path);
	struct vmt_lookup_options options = {.cache = vmt_disk_cache_open()};
	struct vmt_symbol_place place;

	(void)state;
	for (int round = 0; round < 2; round++) {
		struct vmt_lookup *lookup = vmt_lookup_new(&options);

		assert_false(vmt_lookup_go_member(lookup, &module, "runtime.none", "a.0", &place));
		assert_int_equal(waitpid(-1, NULL, WNOHANG) == 0, round == 0);
		vmt_lookup_free(lookup);
	}
	vmt_disk_cache_close(options.cache);
}

/* Same path, size and time of the last change of its content; the build-id is the same as well. */
static void
a_file_that_was_replaced_answers_for_itself(void **state)
{
	struct vmt_module module = own_file_module(path);
	struct timespec times[2];
	struct stat before;
	struct stat after;

	(void)state;
	own_file_write(path, own.bytes);
	settle(path);
	look(&module, kept_function, SPELLED);
	assert_false(look(&module, kept_function, SPELLED));
	assert_int_equal(stat(path, &before), 0);
	write_forged(path);
	times[0] = before.st_atim;
	times[1] = before.st_mtim;
	assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
	assert_int_equal(stat(path, &after), 0);
	assert_int_equal(after.st_ino, before.st_ino);
	assert_int_equal(after.st_size, before.st_size);
	assert_true(look(&module, kept_function, FORGED));
}

/* A file that says it is another one's build has no part in what that one's names are. */
static void
a_claimed_build_poisons_nothing(void **state)
{
	const unsigned char *id = NULL;
	const char *why;
	struct vmt_elf_symbols *file;
	struct vmt_module honest = own_file_module(path);
	struct vmt_module hostile;
	char other[80];

	(void)state;
	snprintf(other, sizeof(other), "%s/hostile", directory);
	own_file_write(path, own.bytes);
	write_forged(other);
	settle(path);
	settle(other);
	file = vmt_elf_symbols_open(path, &why);
	assert_non_null(file);
	hostile = own_file_module(other);
	honest.build_id_bytes = hostile.build_id_bytes =
	    (uint32_t)vmt_elf_symbols_build_id(file, &id);
	honest.build_id = hostile.build_id = id;
	assert_int_equal(honest.build_id_bytes, 20);
	look(&hostile, kept_function, FORGED);
	assert_false(look(&hostile, kept_function, FORGED));
	assert_true(look(&honest, kept_function, SPELLED));
	assert_false(look(&honest, kept_function, SPELLED));
	assert_false(look(&hostile, kept_function, FORGED));
	vmt_elf_symbols_close(file);
}

static void
a_file_that_changed_just_now_is_not_kept(void **state)
{
	struct vmt_module module = own_file_module(path);

	(void)state;
	own_file_write(path, own.bytes);
	assert_true(look(&module, kept_function, SPELLED));
	assert_true(look(&module, kept_function, SPELLED));
}

/* Lines come with a debug file, and go with it. */
static void
debug_files_that_come_and_go_show(void **state)
{
	struct vmt_lookup_options options = {.cache = vmt_disk_cache_open()};
	struct vmt_symbol frames[VMT_SYMBOLS_MAX_INLINED];
	struct vmt_module module = own_file_module(path);
	char command[512];
	char debug[96];
	char away[96];

	(void)state;
	own_file_write(path, own.bytes);
	snprintf(debug, sizeof(debug), "%s/file.debug", directory);
	snprintf(away, sizeof(away), "%s/away", directory);
	snprintf(command, sizeof(command),
		 "cd %s && objcopy --only-keep-debug file file.debug && objcopy --strip-all "
		 "--add-gnu-debuglink=file.debug file",
		 directory);
	assert_int_equal(system(command), 0);
	for (int round = 0; round < 6; round++) {
		bool has_lines = round / 2 % 2 == 0;
		struct vmt_lookup *lookup;

		if (round == 2)
			assert_int_equal(rename(debug, away), 0);
		if (round == 4)
			assert_int_equal(rename(away, debug), 0);
		settle(path);
		settle(debug);
		lookup = vmt_lookup_new(&options);
		assert_int_equal(
		    vmt_lookup_resolve(lookup, &module, own_file_address(kept_function), frames),
		    has_lines);
		assert_int_equal(vmt_lookup_has_debug(lookup, &module), has_lines);
		assert_int_equal(vmt_lookup_trouble(lookup, &module) == NULL, has_lines);
		assert_int_equal(waitpid(-1, NULL, WNOHANG) == 0, round % 2 == 0);
		vmt_lookup_free(lookup);
	}
	vmt_disk_cache_close(options.cache);
}

/* Whatever a whole file holds: its names are right, or it is as if it were not there. */
static void
odd_bytes_are_not_believed(void **state)
{
	struct vmt_module module = own_file_module(path);
	struct vmt_disk_cache *cache;
	char all[96];
	DIR *stream;
	struct dirent *entry;
	char name[VMT_DISK_CACHE_NAME_BYTES] = "";
	unsigned char *bytes;
	size_t length;

	(void)state;
	snprintf(all, sizeof(all), "rm -rf %s/cache/vmtrace", directory);
	assert_int_equal(system(all), 0);
	own_file_write(path, own.bytes);
	settle(path);
	look(&module, kept_function, SPELLED);
	snprintf(all, sizeof(all), "%s/cache/vmtrace", directory);
	stream = opendir(all);
	assert_non_null(stream);
	while ((entry = readdir(stream)))
		if (entry->d_name[0] != '.' && strlen(entry->d_name) < sizeof(name))
			memcpy(name, entry->d_name, strlen(entry->d_name) + 1);
	closedir(stream);
	cache = vmt_disk_cache_open();
	bytes = vmt_disk_cache_read(cache, name, &length);
	assert_non_null(bytes);
	for (size_t i = 1; i < length; i += 11) {
		vmt_disk_cache_write(cache, name, bytes, i);
		look(&module, kept_function, SPELLED);
	}
	for (size_t i = 0; i < 64 && i + 4 <= length; i += 4) {
		uint32_t claim = UINT32_MAX - (uint32_t)i;

		memcpy(bytes + i, &claim, sizeof(claim));
		vmt_disk_cache_write(cache, name, bytes, length);
		look(&module, kept_function, SPELLED);
	}
	free(bytes);
	vmt_disk_cache_close(cache);
}

static int
set_up(void **state)
{
	static char cache[80];

	(void)state;
	if (!own_file_load() || !mkdtemp(directory))
		return 1;
	snprintf(path, sizeof(path), "%s/file", directory);
	snprintf(cache, sizeof(cache), "%s/cache", directory);
	setenv("XDG_CACHE_HOME", cache, 1);
	unsetenv("VMTRACE_CACHE");
	settle("/proc/self/exe");
	return 0;
}

static int
tear_down(void **state)
{
	char command[128];

	(void)state;
	free(own.bytes);
	snprintf(command, sizeof(command), "rm -rf '%s'", directory);
	return system(command);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_second_run_asks_nobody),
	    cmocka_unit_test(go_members_are_kept_too),
	    cmocka_unit_test(a_file_that_was_replaced_answers_for_itself),
	    cmocka_unit_test(a_claimed_build_poisons_nothing),
	    cmocka_unit_test(a_file_that_changed_just_now_is_not_kept),
	    cmocka_unit_test(debug_files_that_come_and_go_show),
	    cmocka_unit_test(odd_bytes_are_not_believed),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
