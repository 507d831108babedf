/* Is what was found in a program's file right for the next start of it, and for no other program?
 *
 * Files are mapped into this process as the kernel would map them: it is the target.
 */
#include "inject/cut_cache.h"

#include "base/pages.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <elf.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define SPAN_BYTES ((size_t)256 << 20)

/* A file, mapped somewhere. */
struct program {
	int file;
	unsigned char *bytes; /* of the whole span */
	struct vmt_target target;
};

static struct vmt_cut_cache cache;

static void
map_segment(const struct program *program, const Elf64_Phdr *segment)
{
	size_t into = segment->p_vaddr % vmt_page_bytes;
	unsigned char *at = program->bytes + segment->p_vaddr - into;

	assert_true(segment->p_vaddr + segment->p_memsz < SPAN_BYTES);
	assert_ptr_equal(mmap(at, segment->p_filesz + into, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_FIXED, program->file,
			      (off_t)(segment->p_offset - into)),
			 at);
}

static bool
load(struct program *program, const char *path)
{
	Elf64_Ehdr header;
	Elf64_Phdr segments[32];

	program->file = open(path, O_RDONLY | O_CLOEXEC);
	if (program->file < 0)
		return false;
	assert_int_equal(pread(program->file, &header, sizeof(header), 0), sizeof(header));
	if (header.e_type != ET_DYN || header.e_phnum > 32) {
		close(program->file);
		return false;
	}
	program->bytes =
	    mmap(NULL, SPAN_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	assert_ptr_not_equal(program->bytes, MAP_FAILED);
	assert_int_equal(pread(program->file, segments, header.e_phnum * sizeof(*segments),
			       (off_t)header.e_phoff),
			 header.e_phnum * sizeof(*segments));
	for (unsigned i = 0; i < header.e_phnum; i++)
		if (segments[i].p_type == PT_LOAD && segments[i].p_filesz != 0)
			map_segment(program, &segments[i]);
	assert_int_equal(vmt_target_open(&program->target, getpid()), 0);
	return true;
}

static void
unload(struct program *program)
{
	vmt_target_close(&program->target);
	munmap(program->bytes, SPAN_BYTES);
	close(program->file);
}

static struct vmt_cut_search
search_of(const struct program *program)
{
	return (struct vmt_cut_search){.target = &program->target,
				       .program_headers =
					   (uint64_t)(uintptr_t)program->bytes + sizeof(Elf64_Ehdr),
				       .file = program->file,
				       .is_unrun = true};
}

static void
search(const struct program *program, struct vmt_program_cuts *cuts)
{
	struct vmt_cut_search search = search_of(program);

	assert_int_equal(vmt_cut_cache_search(&cache, cuts, &search), 0);
}

static const struct vmt_syscall_site *
sites_of(const struct vmt_program_cuts *cuts)
{
	return (const void *)cuts->sites.bytes;
}

/* Of what planning reads. */
static void
check_equal(const struct vmt_program_cuts *a, const struct vmt_program_cuts *b)
{
	assert_ptr_equal(a->wanted, b->wanted);
	assert_int_equal(a->sites_count, b->sites_count);
	for (size_t i = 0; i < a->sites_count; i++)
		assert_memory_equal(&sites_of(a)[i], &sites_of(b)[i], sizeof(*sites_of(a)));
	assert_memory_equal(&a->map, &b->map, sizeof(a->map));
	assert_int_equal(a->heap.count, b->heap.count);
	assert_int_equal(a->heap.led, b->heap.led);
	assert_int_equal(a->heap.unled_at, b->heap.unled_at);
	for (uint32_t i = 0; i < a->heap.count; i++) {
		assert_int_equal(a->heap.functions[i].address, b->heap.functions[i].address);
		assert_memory_equal(&a->heap.functions[i].site, &b->heap.functions[i].site,
				    sizeof(a->heap.functions[i].site));
	}
	assert_int_equal(a->frames.count, b->frames.count);
	assert_int_equal(a->frames.frames_low, b->frames.frames_low);
}

static void
check_fresh(const struct program *program, const struct vmt_program_cuts *cuts)
{
	struct vmt_cut_search search = search_of(program);
	struct vmt_program_cuts fresh;

	assert_int_equal(vmt_cut_search_run(&fresh, &search), 0);
	check_equal(cuts, &fresh);
	vmt_program_cuts_close(&fresh);
}

static bool
has_site(const struct vmt_program_cuts *cuts, const struct vmt_syscall_site *site)
{
	for (size_t i = 0; i < cuts->sites_count; i++)
		if (memcmp(&sites_of(cuts)[i], site, sizeof(*site)) == 0)
			return true;
	return false;
}

/* By the file's own bytes what is found in the process's, and what is only cut at the start. */
static void
test_bytes_of_the_file(void **state)
{
	struct program program;
	struct vmt_cut_search search;
	struct vmt_program_cuts of_file;
	struct vmt_program_cuts of_process;

	(void)state;
	assert_true(load(&program, "/proc/self/exe"));
	search = search_of(&program);
	assert_int_equal(vmt_cut_search_run(&of_file, &search), 0);
	search.is_unrun = false;
	assert_int_equal(vmt_cut_search_run(&of_process, &search), 0);
	assert_true(vmt_program_cuts_possible(&of_process) > 4);
	for (size_t i = 0; i < of_process.sites_count; i++)
		assert_true(has_site(&of_file, &sites_of(&of_process)[i]));
	assert_memory_equal(&of_file.map, &of_process.map, sizeof(of_file.map));
	vmt_program_cuts_close(&of_file);
	vmt_program_cuts_close(&of_process);
	unload(&program);
}

/* Until the test's own file is so old that it is kept: it may have been linked just now. */
static void
await_age(void)
{
	struct stat status;
	struct timespec now;
	const struct timespec pause = {0, 20000000};

	assert_int_equal(stat("/proc/self/exe", &status), 0);
	for (int i = 0; i < 1000; i++) {
		clock_gettime(CLOCK_REALTIME, &now);
		if (now.tv_sec > status.st_ctim.tv_sec + 2 &&
		    now.tv_sec > status.st_mtim.tv_sec + 2)
			return;
		nanosleep(&pause, NULL);
	}
	fail_msg("the clock stands");
}

/* A start at another place finds the same there as a search would. */
static void
test_moved(void **state)
{
	struct program first;
	struct program second;
	struct vmt_program_cuts cuts;

	(void)state;
	await_age();
	assert_true(load(&first, "/proc/self/exe"));
	search(&first, &cuts);
	assert_int_equal(cache.hits, 0);
	check_fresh(&first, &cuts);
	vmt_program_cuts_close(&cuts);
	assert_true(load(&second, "/proc/self/exe"));
	assert_ptr_not_equal(second.bytes, first.bytes);
	search(&second, &cuts);
	assert_int_equal(cache.hits, 1);
	check_fresh(&second, &cuts);
	vmt_program_cuts_close(&cuts);
	unload(&second);
	search(&first, &cuts);
	assert_int_equal(cache.hits, 2);
	check_fresh(&first, &cuts);
	vmt_program_cuts_close(&cuts);
	unload(&first);
}

/* Where a byte that would be replaced is another one, all is searched again. */
static void
test_other_code(void **state)
{
	struct program program;
	struct vmt_program_cuts cuts;
	uint64_t address = 0;

	(void)state;
	await_age();
	assert_true(load(&program, "/proc/self/exe"));
	search(&program, &cuts);
	assert_int_equal(cache.uses, 1);
	for (size_t i = 0; i < cuts.sites_count && address == 0; i++)
		if (sites_of(&cuts)[i].verdict == VMT_SITE_CUT)
			address = sites_of(&cuts)[i].address;
	assert_int_not_equal(address, 0);
	vmt_program_cuts_close(&cuts);
	*(unsigned char *)(uintptr_t)address ^= 1; /* NOLINT(performance-no-int-to-ptr) */
	search(&program, &cuts);
	assert_int_equal(cache.hits, 0);
	assert_int_equal(cache.uses, 2);
	check_fresh(&program, &cuts);
	vmt_program_cuts_close(&cuts);
	unload(&program);
}

static void
copy_program(const char *to)
{
	int from = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	int file = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);
	char bytes[65536];
	ssize_t got;

	assert_true(from >= 0 && file >= 0);
	while ((got = read(from, bytes, sizeof(bytes))) > 0)
		assert_int_equal(write(file, bytes, (size_t)got), got);
	assert_int_equal(got, 0);
	close(from);
	close(file);
}

/* It could be changed once more and have the same times. Set back they still tell. */
static void
test_changed_lately(void **state)
{
	char path[] = "/tmp/cut_cache.XXXXXX";
	const struct timespec long_ago[2] = {{1000000000, 0}, {1000000000, 0}};
	struct program program;
	struct vmt_program_cuts cuts;
	int file = mkstemp(path);

	(void)state;
	assert_true(file >= 0);
	close(file);
	copy_program(path);
	assert_int_equal(utimensat(AT_FDCWD, path, long_ago, 0), 0);
	assert_true(load(&program, path));
	for (int i = 0; i < 2; i++) {
		search(&program, &cuts);
		vmt_program_cuts_close(&cuts);
	}
	assert_int_equal(cache.hits, 0);
	assert_int_equal(cache.uses, 0);
	unload(&program);
	unlink(path);
}

/* Programs that any machine has, and that nobody has just installed. */
static const char *const programs[] = {"ls",  "cat",  "cp",   "mv",   "rm",   "ln",	  "mkdir",
				       "df",  "date", "dd",   "echo", "true", "false",	  "stty",
				       "pwd", "sync", "head", "tail", "wc",   "basename", "sort"};
#define PROGRAMS (sizeof(programs) / sizeof(programs[0]))

/* How many of the programs there are. */
static uint32_t
search_programs(void)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < PROGRAMS && count < VMT_CUT_CACHE_FILES + 2; i++) {
		char path[64];
		struct program program;
		struct vmt_program_cuts cuts;

		snprintf(path, sizeof(path), "/usr/bin/%s", programs[i]);
		if (!load(&program, path))
			continue;
		search(&program, &cuts);
		check_fresh(&program, &cuts);
		vmt_program_cuts_close(&cuts);
		unload(&program);
		count++;
	}
	return count;
}

/* Of more files than are kept, those that were wanted last are kept: each was dropped for a later
 * one before it came again. */
static void
test_bounded(void **state)
{
	uint32_t count;

	(void)state;
	count = search_programs();
	if (count <= VMT_CUT_CACHE_FILES)
		skip();
	assert_int_equal(search_programs(), count);
	assert_int_equal(cache.hits, 0);
	assert_int_equal(cache.uses, 2 * (uint64_t)count);
	for (uint32_t i = 0; i < VMT_CUT_CACHE_FILES; i++)
		assert_true(cache.entries[i].used > cache.uses - VMT_CUT_CACHE_FILES);
}

static int
empty_cache(void **state)
{
	(void)state;
	vmt_cut_cache_close(&cache);
	memset(&cache, 0, sizeof(cache));
	return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, empty_cache, empty_cache)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_bytes_of_the_file), TEST(test_moved),   TEST(test_other_code),
	    TEST(test_changed_lately),	  TEST(test_bounded),
	};

	vmt_pages_set_size((uint32_t)sysconf(_SC_PAGESIZE));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
