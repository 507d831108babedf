/* The code of a program and its functions: of a real one, of which objdump and readelf know the
 * same, and of damaged ones. */
#include "inject/code_map.h"
#include "inject/file_functions.h"
#include "inject/syscall_sites.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/soak.h"

#if defined(__x86_64__)
#define MACHINE_NEEDED() ((void)0)
#else
#define MACHINE_NEEDED() skip()
#endif

#define BIAS UINT64_C(0x7f1234560000)

/* A program's file, which lies in memory as a loader would have it. */
struct image {
	struct vmt_file file;
	uint8_t *bytes;
};

static void
open_image(struct image *image, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat status;

	assert_true(fd >= 0 && fstat(fd, &status) == 0);
	image->bytes = malloc((size_t)status.st_size);
	assert_non_null(image->bytes);
	assert_int_equal(read(fd, image->bytes, (size_t)status.st_size), status.st_size);
	close(fd);
	image->file = (struct vmt_file){image->bytes, (size_t)status.st_size};
}

static int
read_image(void *context, uint64_t address, void *to, size_t bytes)
{
	const struct image *image = context;
	Elf64_Ehdr header;
	uint64_t at = address - BIAS;

	memcpy(&header, image->bytes, sizeof(header));
	for (unsigned i = 0; i < header.e_phnum; i++) {
		uint64_t place = header.e_phoff + i * sizeof(Elf64_Phdr);
		Elf64_Phdr segment;

		if (place > image->file.length - sizeof(segment))
			break;
		memcpy(&segment, image->bytes + place, sizeof(segment));
		if (segment.p_type != PT_LOAD || at < segment.p_vaddr ||
		    at - segment.p_vaddr > segment.p_filesz ||
		    bytes > segment.p_filesz - (at - segment.p_vaddr))
			continue;
		at = segment.p_offset + (at - segment.p_vaddr);
		if (at > image->file.length || bytes > image->file.length - at)
			return -EIO;
		memcpy(to, image->bytes + at, bytes);
		return 0;
	}
	return -EIO;
}

/* Where the file's beginning lies in it: as its first segment says, if that makes sense. */
static uint64_t
first_address(const struct image *image)
{
	Elf64_Ehdr header;
	Elf64_Phdr segment;

	memcpy(&header, image->bytes, sizeof(header));
	for (unsigned i = 0; i < header.e_phnum; i++) {
		uint64_t place = header.e_phoff + i * sizeof(segment);

		if (place > image->file.length - sizeof(segment))
			break;
		memcpy(&segment, image->bytes + place, sizeof(segment));
		if (segment.p_type == PT_LOAD && segment.p_offset == 0)
			return segment.p_vaddr;
	}
	return 0;
}

/* What a program says is read as far as it goes; whatever happens, the map is closed. */
static int
read_all(struct image *image, struct vmt_code_map *map, size_t *sites_count)
{
	static const uint16_t numbers[] = {9, 10, 11, 12, 25, 28};
	static const struct vmt_wanted_calls wanted = {.numbers = numbers, .count = 6};
	struct vmt_buffer sites = {0};
	int error = vmt_code_map_open(map, BIAS + first_address(image), read_image, image);

	if (error == 0)
		error = vmt_file_functions_add(&image->file, map);
	if (error == 0) {
		vmt_code_map_settle(map);
		error = vmt_syscall_sites_find(map, &wanted, &sites, sites_count);
	}
	vmt_buffer_free(&sites);
	return error;
}

static const char *
some_program(void)
{
	static const char *const paths[] = {"/usr/lib/x86_64-linux-musl/libc.so",
					    "/lib/x86_64-linux-gnu/libpthread.so.0", "/bin/true"};

	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
		if (access(paths[i], R_OK) == 0)
			return paths[i];
	skip();
	return NULL;
}

static void
functions_are_those_of_the_frames_and_symbols(void **state)
{
	struct image image;
	struct vmt_code_map map;
	struct vmt_code_stretch stretch;
	struct vmt_code_stretch again;
	size_t sites;
	size_t room;

	(void)state;
	MACHINE_NEEDED();
	open_image(&image, some_program());
	assert_int_equal(read_all(&image, &map, &sites), 0);
	assert_int_equal(map.bias, BIAS);
	assert_true(map.functions_count > 0);
	for (size_t i = 0; i < map.functions_count; i++) {
		uint64_t start = map.functions[i].start;
		uint64_t end = map.functions[i].end;

		assert_true(start < end && (i == 0 || start >= map.functions[i - 1].end));
		assert_non_null(vmt_code_map_bytes(&map, start, &room));
		assert_true(room >= end - start);
		for (uint64_t at = start; at < end; at += (end - start + 2) / 3) {
			assert_true(vmt_code_map_stretch(&map, at, &stretch));
			assert_true(stretch.is_function);
			assert_int_equal(stretch.start, start);
			assert_int_equal(stretch.end, end);
		}
		if (!vmt_code_map_stretch(&map, end, &again) || again.is_function)
			continue;
		assert_true(again.start == end && again.end > end);
	}
	assert_false(vmt_code_map_stretch(&map, map.low - 1, &stretch));
	assert_false(vmt_code_map_stretch(&map, map.high, &stretch));
	assert_null(vmt_code_map_bytes(&map, map.high, &room));
	vmt_code_map_close(&map);
	free(image.bytes);
}

static void
overlapping_functions_bound_each_other(void **state)
{
	static const uint8_t code[100];
	const struct vmt_code_segment segment = {0x1000, sizeof(code), code, true};
	struct vmt_code_map map = {0};

	(void)state;
	assert_int_equal(vmt_code_map_add_segment(&map, &segment), 0);
	assert_int_equal(vmt_code_map_add_segment(&map, &segment), -ENOEXEC); /* there already */
	assert_int_equal(vmt_code_map_add_function(&map, 0x1010, 0x1030), 0);
	assert_int_equal(vmt_code_map_add_function(&map, 0x1020, 0x1028), 0);
	assert_int_equal(vmt_code_map_add_function(&map, 0x1010, 0x1018), 0);
	assert_int_equal(vmt_code_map_add_function(&map, 0x1000, 0x1000), 0); /* empty */
	assert_int_equal(vmt_code_map_add_function(&map, 0x1040, 0x2000), 0); /* beyond the code */
	assert_int_equal(vmt_code_map_add_function(&map, 0x10, 0x20), 0);
	vmt_code_map_settle(&map);
	assert_int_equal(map.functions_count, 2);
	assert_int_equal(map.functions[0].start, 0x1010);
	assert_int_equal(map.functions[0].end, 0x1020);
	assert_int_equal(map.functions[1].start, 0x1020);
	assert_int_equal(map.functions[1].end, 0x1028);
	vmt_code_map_close(&map);
}

static void
a_map_has_an_end(void **state)
{
	static const uint8_t code[100];
	const struct vmt_code_segment segment = {0x1000, sizeof(code), code, true};
	struct vmt_code_map map = {0};

	(void)state;
	assert_int_equal(vmt_code_map_add_segment(&map, &segment), 0);
	for (uint32_t i = 0; i < VMT_CODE_MAP_MAX_FUNCTIONS; i++)
		if (vmt_code_map_add_function(&map, 0x1010, 0x1030) != 0)
			fail();
	assert_int_equal(vmt_code_map_add_function(&map, 0x1010, 0x1030), -E2BIG);
	vmt_code_map_settle(&map);
	assert_int_equal(map.functions_count, 1);
	vmt_code_map_close(&map);
}

/* A file of nothing but section headers, all of one table of symbols. */
struct same_tables {
	Elf64_Ehdr header;
	Elf64_Shdr sections[32];
	Elf64_Sym symbols[2];
	char strings[4];
};

static void
make_same_tables(struct same_tables *file, uint32_t type)
{
	*file = (struct same_tables){.strings = "a"};
	memcpy(file->header.e_ident, ELFMAG, SELFMAG);
	file->header.e_ident[EI_CLASS] = ELFCLASS64;
	file->header.e_shoff = offsetof(struct same_tables, sections);
	file->header.e_shentsize = sizeof(Elf64_Shdr);
	file->header.e_shnum = 32;
	file->sections[0] = (Elf64_Shdr){.sh_type = SHT_STRTAB,
					 .sh_offset = offsetof(struct same_tables, strings),
					 .sh_size = sizeof(file->strings)};
	for (int i = 1; i < 32; i++)
		file->sections[i] = (Elf64_Shdr){.sh_type = type,
						 .sh_offset = offsetof(struct same_tables, symbols),
						 .sh_size = sizeof(file->symbols)};
	for (int i = 0; i < 2; i++)
		file->symbols[i] = (Elf64_Sym){.st_info = ELF64_ST_INFO(STB_GLOBAL, STT_FUNC),
					       .st_shndx = 1,
					       .st_value = 0x1000,
					       .st_size = 4};
}

static void
count_function(void *context, const struct vmt_file_function *function)
{
	assert_string_equal(function->name, "a");
	++*(unsigned *)context;
}

static unsigned
count_functions(const struct same_tables *file)
{
	const struct vmt_file opened = {(const uint8_t *)file, sizeof(*file)};
	unsigned count = 0;

	vmt_file_functions_each(&opened, count_function, &count);
	return count;
}

static void
one_table_is_not_read_for_each_of_many_headers(void **state)
{
	static struct same_tables file;

	(void)state;
	make_same_tables(&file, SHT_SYMTAB);
	assert_int_equal(count_functions(&file), 4 * 2);
	make_same_tables(&file, SHT_DYNSYM);
	assert_int_equal(count_functions(&file), 4 * 2);
	file.strings[sizeof(file.strings) - 1] = 'b'; /* strings without an end */
	assert_int_equal(count_functions(&file), 0);
}

/* A CIE whose letters are z, then B, which says nothing here, then R; and one function of it. */
struct frame_table {
	uint8_t bytes[1024];
	size_t length;
};

static void
put_word(struct frame_table *table, uint32_t word)
{
	memcpy(table->bytes + table->length, &word, sizeof(word));
	table->length += sizeof(word);
}

static void
put_record_with_letters(struct frame_table *table, uint64_t address, unsigned blanks)
{
	size_t from = table->length;
	size_t length = 4 + 1 + 1 + blanks + 2 + 4 + 1;

	put_word(table, (uint32_t)length);
	put_word(table, 0);
	table->bytes[table->length++] = 1; /* version */
	table->bytes[table->length++] = 'z';
	memset(table->bytes + table->length, 'B', blanks);
	table->length += blanks;
	memcpy(table->bytes + table->length, "R\0\1\x78\x10\1\x1b", 7);
	table->length += 7;
	put_word(table, 12);
	put_word(table, (uint32_t)(table->length - from));
	put_word(table, (uint32_t)(0x1000 - (address + table->length)));
	put_word(table, 8);
}

static size_t
count_framed(unsigned blanks)
{
	static const uint8_t code[100];
	const struct vmt_code_segment first = {0x1000, sizeof(code), code, true};
	struct frame_table table = {.length = 0};
	struct vmt_code_segment second = {0x2000, sizeof(table.bytes), table.bytes, false};
	struct vmt_code_map map = {0};
	size_t count;

	put_record_with_letters(&table, 0x2000, blanks);
	assert_int_equal(vmt_code_map_add_segment(&map, &first), 0);
	assert_int_equal(vmt_code_map_add_segment(&map, &second), 0);
	assert_int_equal(vmt_code_map_add_frames(&map, 0x2000, table.length), 0);
	count = map.functions_count;
	vmt_code_map_close(&map);
	return count;
}

/* No compiler writes many letters: what stands far behind a CIE's beginning is not read. */
static void
a_cie_is_read_only_so_far(void **state)
{
	(void)state;
	assert_int_equal(count_framed(0), 1);
	assert_int_equal(count_framed(8), 1);
	assert_int_equal(count_framed(200), 0);
}

static uint64_t
next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* Bytes of the headers, of the tables of frames and of the symbols, one to four at a time. */
static void
damaged_programs_harm_nobody(void **state)
{
	struct image image;
	struct image whole;
	uint64_t random = 0x9e3779b97f4a7c15;
	unsigned read_well = 0;

	(void)state;
	MACHINE_NEEDED();
	open_image(&image, "/bin/true");
	open_image(&whole, "/bin/true");
	for (long i = soak_count(400, 20000); i > 0; i--) {
		struct vmt_code_map map;
		size_t sites;

		for (uint64_t flips = next_random(&random) % 4 + 1; flips > 0; flips--) {
			uint64_t place = next_random(&random);

			place %= place % 3 == 0 ? 0x400 : image.file.length;
			image.bytes[place] = (uint8_t)next_random(&random);
		}
		read_well += read_all(&image, &map, &sites) == 0;
		vmt_code_map_close(&map);
		memcpy(image.bytes, whole.bytes, image.file.length);
	}
	assert_true(read_well > 0);
	free(image.bytes);
	free(whole.bytes);
}

/* Go's table of functions: the magic of 1.18 and of 1.20, and what stands behind it. */
static uint8_t *
find_go_table(const struct image *image)
{
	static const uint8_t magics[2][8] = {{0xf0, 0xff, 0xff, 0xff, 0, 0, 1, 8},
					     {0xf1, 0xff, 0xff, 0xff, 0, 0, 1, 8}};

	for (size_t i = 0; i < 2; i++) {
		uint8_t *table = memmem(image->bytes, image->file.length, magics[i], 8);

		if (table)
			return table;
	}
	fail_msg("a Go program has no table of functions");
	return NULL;
}

static void
damaged_go_tables_add_nothing_wrong(void **state)
{
	uint64_t random = 0x9e3779b97f4a7c15;
	uint8_t header[72];
	glob_t found = {0};
	struct image image;
	struct vmt_code_map map;
	uint8_t *table;
	size_t functions;
	size_t sites;

	(void)state;
	MACHINE_NEEDED();
	if (glob("/opt/go-debian/*/usr/lib/go-*/bin/gofmt", 0, NULL, &found) != 0)
		skip();
	open_image(&image, found.gl_pathv[found.gl_pathc - 1]);
	globfree(&found);
	assert_int_equal(read_all(&image, &map, &sites), 0);
	functions = map.functions_count;
	assert_true(functions > 2000);
	vmt_code_map_close(&map);
	table = find_go_table(&image);
	memcpy(header, table, sizeof(header));
	for (long i = soak_count(40, 2000); i > 0; i--) {
		table[next_random(&random) % sizeof(header)] = (uint8_t)next_random(&random);
		assert_int_equal(read_all(&image, &map, &sites), 0);
		assert_true(map.functions_count <= functions);
		vmt_code_map_close(&map);
		memcpy(table, header, sizeof(header));
	}
	free(image.bytes);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(functions_are_those_of_the_frames_and_symbols),
	    cmocka_unit_test(overlapping_functions_bound_each_other),
	    cmocka_unit_test(a_map_has_an_end),
	    cmocka_unit_test(one_table_is_not_read_for_each_of_many_headers),
	    cmocka_unit_test(a_cie_is_read_only_so_far),
	    cmocka_unit_test(damaged_programs_harm_nobody),
	    cmocka_unit_test(damaged_go_tables_add_nothing_wrong),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
