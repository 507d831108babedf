/* What a file can make the libraries that look into it do, and what that costs: a name. */
#include "tests/sanitized.h"
#include "tests/unit/made_elf.h"
#include "tools/read/symbols/lookup.h"
#include "tools/read/symbols/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zlib.h>

#include <cmocka.h>

#define BOMB_BYTES (UINT64_C(1) << 30)
#define MEMORY_BYTES (UINT64_C(96) << 20)

static char directory[] = "/tmp/vmtrace-limits-XXXXXX";
static char path[64];

static struct vmt_module
the_file(void)
{
	return (struct vmt_module){.path = path, .path_bytes = (uint32_t)strlen(path)};
}

static const unsigned char unit_abbreviation[] = {1,
						  DW_TAG_compile_unit,
						  DW_CHILDREN_yes,
						  DW_AT_name,
						  DW_FORM_string,
						  DW_AT_low_pc,
						  DW_FORM_addr,
						  DW_AT_high_pc,
						  DW_FORM_data8,
						  0};

static void
put_unit(struct made_section *info, unsigned number)
{
	made_put_number(info, 1, 1);
	made_put_text(info, "unit");
	made_put_number(info, UINT64_C(0x1000) * number, 8);
	made_put_number(info, 0x1000, 8);
}

/* Units of 4096 bytes of code each. Each of many functions says that its code lies in the same long
 * list, in which there is no code: a few megabytes that make who follows them go through very many
 * entries. */
static void
write_looks(unsigned units, unsigned functions, unsigned entries)
{
	static const unsigned char function[] = {
	    2, DW_TAG_subprogram, DW_CHILDREN_no, DW_AT_ranges, DW_FORM_sec_offset, 0};
	struct made_elf elf = {.count = 0};
	struct made_section *abbreviations = made_elf_section(&elf, ".debug_abbrev");
	struct made_section *info = made_elf_section(&elf, ".debug_info");
	struct made_section *ranges = made_elf_section(&elf, ".debug_ranges");

	made_put_abbreviation(abbreviations, unit_abbreviation);
	made_put_abbreviation(abbreviations, function);
	made_put_number(abbreviations, 0, 1);
	for (unsigned number = 1; number <= units; number++) {
		size_t unit = made_begin_unit(info);

		put_unit(info, number);
		for (unsigned i = 0; i < functions; i++) {
			made_put_number(info, 2, 1);
			made_put_number(info, 0, 4);
		}
		made_put_number(info, 0, 1);
		made_end_unit(info, unit);
	}
	for (unsigned i = 0; i < entries; i++) {
		made_put_number(ranges, UINT64_MAX, 8); /* another base: no range */
		made_put_number(ranges, 0x1000, 8);
	}
	made_put_number(ranges, 0, 8);
	made_put_number(ranges, 0, 8);
	made_elf_write(&elf, path);
}

static void
write_long_look(void)
{
	write_looks(1, 100000, 100000);
}

/* None of them takes too long, all of them do. */
static void
many_long_looks_end(void **state)
{
	struct vmt_lookup_limits limits = {.wait_ms = 500};
	struct vmt_lookup *lookup = vmt_lookup_new(&limits);
	struct vmt_symbol frames[VMT_SYMBOLS_MAX_INLINED];
	struct vmt_module module = the_file();
	uint64_t unit = 1;

	(void)state;
	write_looks(200, 300, 10000);
	assert_true(vmt_lookup_has_debug(lookup, &module));
	while (unit <= 200 && vmt_lookup_has_debug(lookup, &module))
		(void)vmt_lookup_resolve(lookup, &module, 0x1000 * unit++ + 0x800, frames);
	assert_in_range(unit, 3, 199);
	assert_non_null(vmt_lookup_trouble(lookup, &module));
	assert_non_null(strstr(vmt_lookup_trouble(lookup, &module), "damaged"));
	vmt_lookup_free(lookup);
}

static void
an_endless_look_ends(void **state)
{
	struct vmt_lookup_limits limits = {.cpu_seconds = 1};
	struct vmt_lookup *lookup = vmt_lookup_new(&limits);
	struct vmt_module module = the_file();
	struct vmt_symbol frames[VMT_SYMBOLS_MAX_INLINED];

	(void)state;
	write_long_look();
	assert_int_equal(vmt_lookup_resolve(lookup, &module, 0, frames), 0);
	assert_true(vmt_lookup_has_debug(lookup, &module)); /* refused for no other reason */
	assert_int_equal(vmt_lookup_resolve(lookup, &module, 0x1800, frames), 0);
	assert_non_null(vmt_lookup_trouble(lookup, &module));
	assert_non_null(strstr(vmt_lookup_trouble(lookup, &module), "damaged"));
	assert_false(vmt_lookup_has_debug(lookup, &module));
	vmt_lookup_free(lookup);
}

/* The one child of this process. */
static pid_t
only_child(void)
{
	char name[64];
	FILE *file;
	int child = 0;

	snprintf(name, sizeof(name), "/proc/self/task/%d/children", (int)getpid());
	file = fopen(name, "r");
	assert_non_null(file);
	assert_int_equal(fscanf(file, "%d", &child), 1);
	fclose(file);
	return child;
}

static uint64_t
peak_bytes(pid_t process)
{
	char line[256];
	unsigned long kib = 0;
	FILE *file;

	snprintf(line, sizeof(line), "/proc/%d/status", (int)process);
	file = fopen(line, "r");
	assert_non_null(file);
	while (fgets(line, sizeof(line), file) && sscanf(line, "VmHWM: %lu", &kib) != 1)
		;
	fclose(file);
	assert_true(kib > 0);
	return (uint64_t)kib * 1024;
}

/* A megabyte that says it is a gigabyte. */
static void
write_bomb(void)
{
	static unsigned char zeros[1 << 20];
	static unsigned char packed[1 << 16];
	Elf64_Chdr head = {.ch_type = ELFCOMPRESS_ZLIB, .ch_size = BOMB_BYTES, .ch_addralign = 1};
	struct made_elf elf = {.count = 0};
	struct made_section *abbreviations = made_elf_section(&elf, ".debug_abbrev");
	struct made_section *info = made_elf_section(&elf, ".debug_info");
	z_stream stream = {0};

	made_put_abbreviation(abbreviations, unit_abbreviation);
	made_put_number(abbreviations, 0, 1);
	info->flags = SHF_COMPRESSED;
	made_put(info, &head, sizeof(head));
	assert_int_equal(deflateInit(&stream, Z_BEST_SPEED), Z_OK);
	for (uint64_t done = 0; done <= BOMB_BYTES; done += sizeof(zeros)) {
		stream.next_in = zeros;
		stream.avail_in = done < BOMB_BYTES ? sizeof(zeros) : 0;
		do {
			stream.next_out = packed;
			stream.avail_out = sizeof(packed);
			deflate(&stream, done < BOMB_BYTES ? Z_NO_FLUSH : Z_FINISH);
			made_put(info, packed, sizeof(packed) - stream.avail_out);
		} while (stream.avail_out == 0);
	}
	deflateEnd(&stream);
	made_elf_write(&elf, path);
}

static void
memory_is_bounded(void **state)
{
	struct vmt_lookup_limits limits = {.memory_bytes = MEMORY_BYTES};
	struct vmt_lookup *lookup = vmt_lookup_new(&limits);
	struct vmt_symbol frames[VMT_SYMBOLS_MAX_INLINED];
	struct vmt_module module = the_file();

	(void)state;
	if (SANITIZED) {
		vmt_lookup_free(lookup);
		print_message("skip: a limit on memory leaves no room for a sanitizer's shadow\n");
		skip();
	}
	write_bomb();
	assert_int_equal(vmt_lookup_resolve(lookup, &module, 0x1800, frames), 0);
	assert_true(peak_bytes(only_child()) < MEMORY_BYTES + (UINT64_C(32) << 20));
	assert_non_null(vmt_lookup_trouble(lookup, &module));
	vmt_lookup_free(lookup);
}

/* Stopped, a child stands for one that waits for what never comes. */
static void
waiting_is_bounded(void **state)
{
	struct vmt_lookup_limits limits = {.wait_ms = 100};
	struct vmt_lookup *lookup = vmt_lookup_new(&limits);
	struct vmt_symbol frames[VMT_SYMBOLS_MAX_INLINED];
	struct vmt_module module = the_file();

	(void)state;
	write_long_look();
	assert_true(vmt_lookup_has_debug(lookup, &module));
	assert_int_equal(kill(only_child(), SIGSTOP), 0);
	assert_int_equal(vmt_lookup_resolve(lookup, &module, 0x1800, frames), 0);
	assert_non_null(vmt_lookup_trouble(lookup, &module));
	assert_non_null(strstr(vmt_lookup_trouble(lookup, &module), "damaged"));
	vmt_lookup_free(lookup);
}

/* Names that lie in a file which the program names: an own look follows it, a child's does not. */
static void
files_that_a_program_names_are_not_opened(void **state)
{
	struct vmt_lookup *lookup = vmt_lookup_new(NULL);
	struct vmt_symbols *symbols = vmt_symbols_new();
	struct vmt_symbol frames[VMT_SYMBOLS_MAX_INLINED];
	struct vmt_module module = the_file();
	char command[1024];
	uint64_t address;
	size_t count = 0;

	(void)state;
	snprintf(
	    command, sizeof(command),
	    "cd %s && printf '%%s\\n' 'volatile int x;' "
	    "'static inline __attribute__((always_inline)) void inner(void) { x += 2; x *= 3; }' "
	    "'__attribute__((noinline)) void outer(void) { inner(); }' "
	    "'int main(void) { outer(); return x; }' >split.c && "
	    "gcc -O1 -g -gsplit-dwarf split.c -o file && test -n \"$(ls *.dwo)\"",
	    directory);
	assert_int_equal(system(command), 0);
	for (address = 0x1000; address < 0x2000 && count < 2; address++)
		count = vmt_symbols_resolve(symbols, &module, address, frames);
	address--;
	assert_int_equal(count, 2);
	assert_string_equal(frames[0].function, "inner");
	assert_string_equal(frames[1].function, "outer");
	/* The line and the function are in the program itself. */
	assert_int_equal(vmt_lookup_resolve(lookup, &module, address, frames), 1);
	assert_string_equal(frames[0].function, "outer");
	assert_true(frames[0].line > 0);
	vmt_symbols_free(symbols);
	vmt_lookup_free(lookup);
}

static unsigned
count_children(void)
{
	char name[64];
	unsigned count = 0;
	FILE *file;
	int child;

	snprintf(name, sizeof(name), "/proc/self/task/%d/children", (int)getpid());
	file = fopen(name, "r");
	assert_non_null(file);
	while (fscanf(file, "%d", &child) == 1)
		count++;
	fclose(file);
	return count;
}

/* Modules by the hundred have no more than a few children, and each its answers. */
static void
children_are_few(void **state)
{
	struct vmt_lookup *lookup = vmt_lookup_new(NULL);
	struct vmt_symbol frames[VMT_SYMBOLS_MAX_INLINED];
	char names[100][80];

	(void)state;
	write_long_look();
	for (unsigned i = 0; i < 200; i++) {
		char *name = names[i % 100];
		struct vmt_module module = {.path = name};

		snprintf(name, sizeof(names[0]), "%s/file%u", directory, i % 100);
		if (i < 100)
			assert_int_equal(link(path, name), 0);
		module.path_bytes = (uint32_t)strlen(name);
		assert_int_equal(vmt_lookup_resolve(lookup, &module, i, frames), 0);
		assert_true(vmt_lookup_has_debug(lookup, &module));
		assert_true(count_children() <= 32);
	}
	assert_true(count_children() > 0);
	vmt_lookup_free(lookup);
	for (unsigned i = 0; i < 100; i++)
		unlink(names[i]);
}

static bool
is_refused(long result)
{
	return result == -1 && (errno == EPERM || errno == EMFILE);
}

/* 0, or the number of the first thing that went otherwise. */
static int
try_everything(int fd, pid_t parent)
{
	char byte;
	void *memory;

	vmt_sandbox_enter();
	if (!is_refused(open("/etc/passwd", O_RDONLY)))
		return 1;
	if (!is_refused(socket(AF_INET, SOCK_STREAM, 0)))
		return 2;
	if (!is_refused(dup(fd)))
		return 3;
	if (!is_refused(fork()))
		return 4;
	if (!is_refused(execl("/bin/true", "true", (char *)NULL)))
		return 5;
	if (!is_refused(kill(parent, 0)))
		return 6;
	if (!is_refused(unlink(path)))
		return 7;
	if (!is_refused(write(fd, "x", 1)))
		return 8;
	memory = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED || munmap(memory, 1 << 20) != 0)
		return 9;
	if (pread(fd, &byte, 1, 0) != 1 || byte != 'x')
		return 10;
	return 0;
}

static void
the_confined_can_do_no_more_than_read_and_talk(void **state)
{
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	pid_t parent = getpid();
	pid_t child;
	int status;

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "x", 1), 1);
	child = fork();
	if (child == 0)
		_exit(try_everything(fd, parent));
	close(fd);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	assert_int_equal(access(path, F_OK), 0);
}

static int
set_up(void **state)
{
	(void)state;
	if (!mkdtemp(directory))
		return 1;
	snprintf(path, sizeof(path), "%s/file", directory);
	return 0;
}

static int
tear_down(void **state)
{
	char command[128];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf '%s'", directory);
	return system(command);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(an_endless_look_ends),
	    cmocka_unit_test(many_long_looks_end),
	    cmocka_unit_test(memory_is_bounded),
	    cmocka_unit_test(waiting_is_bounded),
	    cmocka_unit_test(files_that_a_program_names_are_not_opened),
	    cmocka_unit_test(children_are_few),
	    cmocka_unit_test(the_confined_can_do_no_more_than_read_and_talk),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
