/*
 * test_go_image.c: are the runtime's functions and counters found in an executable, by its
 * symbols or without, and does no damaged file lead astray?
 *
 * The file is made by hand: one segment, with the sections that a Go program has.
 */
#include "unwind/go_functions.h"
#include "unwind/go_image.h"

#include <elf.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define BASE UINT64_C(0x400000)
#define TEXT_OFFSET 0x400u
#define TEXT_BYTES 0x100u
#define TABLE_OFFSET 0x600u
#define INFO_OFFSET 0x900u
#define DATA_OFFSET 0xa00u
#define MODULE_OFFSET 0xb00u
#define RELOCATION_OFFSET 0xd00u
#define SYMBOLS_OFFSET 0xe00u
#define STRINGS_OFFSET 0x1000u
#define SECTIONS_OFFSET 0x1400u
#define FILE_BYTES 0x1800u

enum section { S_NONE, S_TABLE, S_INFO, S_DATA, S_MODULE, S_RELA, S_SYMBOLS, S_STRINGS, SECTIONS };

struct elf {
	_Alignas(8) unsigned char bytes[FILE_BYTES];
	uint32_t strings;
	uint32_t symbols;
};

static struct elf elf;

static void
put(uint64_t offset, const void *bytes, uint64_t count)
{
	memcpy(elf.bytes + offset, bytes, count);
}

static uint32_t
put_string(const char *text)
{
	uint32_t at = elf.strings;

	put(STRINGS_OFFSET + at, text, strlen(text) + 1);
	elf.strings += (uint32_t)strlen(text) + 1;
	return at;
}

static void
put_section(enum section index, const char *name, uint32_t type, uint64_t flags, uint64_t offset,
	    uint64_t bytes)
{
	Elf64_Shdr header = {.sh_name = put_string(name),
			     .sh_type = type,
			     .sh_flags = flags,
			     .sh_addr = flags & SHF_ALLOC ? BASE + offset : 0,
			     .sh_offset = offset,
			     .sh_size = bytes,
			     .sh_link = type == SHT_SYMTAB ? S_STRINGS : 0};

	put(SECTIONS_OFFSET + index * sizeof(header), &header, sizeof(header));
}

static void
put_symbol(const char *name, unsigned type, uint64_t offset, uint64_t bytes)
{
	Elf64_Sym symbol = {.st_name = put_string(name),
			    .st_info = (unsigned char)ELF64_ST_INFO(STB_LOCAL, type),
			    .st_shndx = 1,
			    .st_value = BASE + offset,
			    .st_size = bytes};

	put(SYMBOLS_OFFSET + elf.symbols++ * sizeof(symbol), &symbol, sizeof(symbol));
}

static void
put_headers(void)
{
	Elf64_Ehdr header = {.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB},
			     .e_phoff = sizeof(header),
			     .e_phnum = 1,
			     .e_phentsize = sizeof(Elf64_Phdr),
			     .e_shoff = SECTIONS_OFFSET,
			     .e_shnum = SECTIONS,
			     .e_shentsize = sizeof(Elf64_Shdr),
			     .e_shstrndx = S_STRINGS};
	Elf64_Phdr segment = {.p_type = PT_LOAD,
			      .p_vaddr = BASE,
			      .p_filesz = SYMBOLS_OFFSET,
			      .p_memsz = SYMBOLS_OFFSET};

	put(0, &header, sizeof(header));
	put(sizeof(header), &segment, sizeof(segment));
}

static void
put_build_info(void)
{
	put(INFO_OFFSET, "\xff Go buildinf:\x08\x02", 16);
	put(INFO_OFFSET + 32, "\x08go1.24.4", 9);
}

/* Two functions of the same name, the assembly and its wrapper, and crosscall2. */
static void
put_function_table(uint64_t text_start)
{
	static const char names[] = "main.main\0runtime.madvise\0runtime.systemstack\0crosscall2";
	static const struct {
		uint32_t code;
		uint32_t name;
	} functions[] = {{0x00, 0}, {0x20, 10}, {0x40, 10}, {0x60, 26}, {0x80, 46}};
	const uint32_t count = sizeof(functions) / sizeof(functions[0]);
	const uint32_t end = TEXT_BYTES;
	struct {
		uint32_t magic;
		uint8_t small[4];
		uint64_t words[8];
	} header = {0xfffffff1, {0, 0, 1, 8}, {count, 0, text_start, 72, 0, 0, 0, 144}};

	put(TABLE_OFFSET, &header, sizeof(header));
	put(TABLE_OFFSET + 72, names, sizeof(names));
	for (uint32_t i = 0; i < count; i++) {
		uint32_t entry[2] = {functions[i].code, 64 + 8 * i};
		uint32_t record[2] = {functions[i].code, functions[i].name};

		put(TABLE_OFFSET + 144 + 8 * i, entry, sizeof(entry));
		put(TABLE_OFFSET + 144 + 64 + 8 * i, record, sizeof(record));
	}
	put(TABLE_OFFSET + 144 + 8 * count, &end, sizeof(end));
}

static void
put_sections(bool with_symbols)
{
	put_section(S_TABLE, ".gopclntab", SHT_PROGBITS, SHF_ALLOC, TABLE_OFFSET, 0x200);
	put_section(S_INFO, ".go.buildinfo", SHT_PROGBITS, SHF_ALLOC | SHF_WRITE, INFO_OFFSET, 64);
	put_section(S_DATA, ".noptrdata", SHT_PROGBITS, SHF_ALLOC | SHF_WRITE, DATA_OFFSET, 64);
	put_section(S_MODULE, ".go.module", SHT_PROGBITS, SHF_ALLOC | SHF_WRITE, MODULE_OFFSET,
		    400);
	put_section(S_RELA, ".rela.dyn", SHT_RELA, 0, RELOCATION_OFFSET, 3 * sizeof(Elf64_Rela));
	if (with_symbols)
		put_section(S_SYMBOLS, ".symtab", SHT_SYMTAB, 0, SYMBOLS_OFFSET,
			    elf.symbols * sizeof(Elf64_Sym));
	put_section(S_STRINGS, ".strtab", SHT_STRTAB, 0, STRINGS_OFFSET, 0);
	((Elf64_Shdr *)(void *)(elf.bytes + SECTIONS_OFFSET))[S_STRINGS].sh_size = elf.strings;
}

static void
make_file(bool with_symbols, uint64_t text_start)
{
	memset(&elf, 0, sizeof(elf));
	elf.strings = 1;
	put_headers();
	put_build_info();
	put_function_table(text_start);
	elf.bytes[DATA_OFFSET] = 1; /* runtime.iscgo */
	if (with_symbols) {
		put_symbol("runtime.text", STT_FUNC, TEXT_OFFSET, 0);
		put_symbol("runtime.etext", STT_FUNC, TEXT_OFFSET + TEXT_BYTES, 0);
		put_symbol("runtime.madvise.abi0", STT_FUNC, TEXT_OFFSET + 0x20, 28);
		put_symbol("runtime.madvise2", STT_FUNC, TEXT_OFFSET + 0x70, 28);
		put_symbol("runtime.systemstack.abi0", STT_FUNC, TEXT_OFFSET + 0x60, 32);
		put_symbol("internal/runtime/syscall.Syscall6", STT_FUNC, TEXT_OFFSET + 0xa0, 54);
		put_symbol("syscall.Syscall6", STT_FUNC, TEXT_OFFSET + 0xc0, 54);
		put_symbol("runtime.iscgo", STT_OBJECT, DATA_OFFSET, 1);
		put_symbol("runtime.memstats", STT_OBJECT, 0x4000, 7744);
		put_symbol("runtime.gcController", STT_OBJECT, 0x8000, 392);
	}
	put_sections(with_symbols);
}

static const char *
read_file(struct vmt_go_image *image)
{
	struct vmt_go_file file = {elf.bytes, sizeof(elf.bytes)};

	return vmt_go_functions_read(image, &file);
}

static void
test_symbols_tell_all(void **state)
{
	struct vmt_go_image image;

	(void)state;
	make_file(true, 0);
	assert_null(read_file(&image));
	assert_false(image.stripped);
	assert_true(image.cgo);
	assert_string_equal(image.version, "go1.24.4");
	assert_int_equal(image.text_low, BASE + TEXT_OFFSET);
	assert_int_equal(image.text_high, BASE + TEXT_OFFSET + TEXT_BYTES);
	assert_int_equal(image.code[VMT_GO_MADVISE][0].address, BASE + TEXT_OFFSET + 0x20);
	assert_int_equal(image.code[VMT_GO_MADVISE][0].bytes, 28);
	assert_int_equal(image.code[VMT_GO_MADVISE][1].address, 0);
	assert_int_equal(image.code[VMT_GO_SYSCALL][0].address, BASE + TEXT_OFFSET + 0xa0);
	assert_int_equal(image.code[VMT_GO_SYSCALL][1].address, 0);
	assert_int_equal(image.objects_count, 2);
	assert_string_equal(image.objects[0].symbol, "runtime.memstats");
	assert_int_equal(image.objects[0].address, BASE + 0x4000);
	assert_int_equal(image.objects[0].bytes, 7744);
}

static void
test_without_cgo(void **state)
{
	struct vmt_go_image image;

	(void)state;
	make_file(true, 0);
	elf.bytes[DATA_OFFSET] = 0;
	assert_null(read_file(&image));
	assert_false(image.cgo);
}

static void
check_stripped(void)
{
	struct vmt_go_image image;

	assert_null(read_file(&image));
	assert_true(image.stripped);
	assert_true(image.cgo);
	assert_int_equal(image.text_low, BASE + TEXT_OFFSET);
	assert_int_equal(image.text_high, BASE + TEXT_OFFSET + TEXT_BYTES);
	assert_int_equal(image.code[VMT_GO_MADVISE][0].address, BASE + TEXT_OFFSET + 0x20);
	assert_int_equal(image.code[VMT_GO_MADVISE][0].bytes, 0x20);
	assert_int_equal(image.code[VMT_GO_MADVISE][1].address, BASE + TEXT_OFFSET + 0x40);
	assert_int_equal(image.code[VMT_GO_SYSTEMSTACK][0].address, BASE + TEXT_OFFSET + 0x60);
	assert_int_equal(image.objects_count, 0);
}

static void
test_a_stripped_program_has_its_function_table(void **state)
{
	(void)state;
	make_file(false, BASE + TEXT_OFFSET);
	check_stripped();
}

/* Go before 1.26, position-independent: the start of the text stands in a relocation. */
static void
test_the_text_may_be_told_by_a_relocation(void **state)
{
	Elf64_Rela relocation = {.r_offset = BASE + TABLE_OFFSET + 24,
				 .r_info = ELF64_R_INFO(0, R_X86_64_RELATIVE),
				 .r_addend = BASE + TEXT_OFFSET};

	(void)state;
	make_file(false, 0);
	put(RELOCATION_OFFSET + sizeof(relocation), &relocation, sizeof(relocation));
	check_stripped();
}

/* Since Go 1.26 the module data alone tells where the text is. */
static void
test_the_text_may_be_told_by_the_module_data(void **state)
{
	uint64_t table = BASE + TABLE_OFFSET;
	uint64_t text = BASE + TEXT_OFFSET;

	(void)state;
	make_file(false, 0);
	put(MODULE_OFFSET, &table, sizeof(table));
	put(MODULE_OFFSET + 176, &text, sizeof(text));
	check_stripped();
}

static void
test_what_cannot_be_known_is_said(void **state)
{
	struct vmt_go_image image;

	(void)state;
	make_file(false, 0);
	assert_string_equal(read_file(&image), "the function table does not say where the text is");
	assert_int_equal(image.text_low, 0);
	elf.bytes[TABLE_OFFSET] = 0xfb;
	assert_string_equal(read_file(&image), "no function table of Go 1.18 or later");
	elf.bytes[0] = 0;
	assert_string_equal(read_file(&image), "the file has no section headers");
	assert_string_equal(image.version, "");
}

/* By the section of that name, which the linker always writes. */
static void
test_a_program_of_go_is_told_without_a_note(void **state)
{
	static const char mark[] = "\xff Go buildinf:\x08\x02";
	struct vmt_go_file file = {elf.bytes, sizeof(elf.bytes)};
	Elf64_Shdr *sections = (void *)(elf.bytes + SECTIONS_OFFSET);

	(void)state;
	make_file(true, 0);
	assert_true(vmt_go_image_is_go(&file));
	sections[S_INFO].sh_name++;
	assert_false(vmt_go_image_is_go(&file));
	assert_true(vmt_go_image_is_mark(mark, 14));
	assert_false(vmt_go_image_is_mark(mark, 13));
	assert_false(vmt_go_image_is_mark(mark + 1, 14));
}

/* A library that exports one name more than others do. */
static bool
is_plugin_that_exports(const char *name)
{
	struct vmt_go_file file = {elf.bytes, sizeof(elf.bytes)};
	Elf64_Shdr *sections = (void *)(elf.bytes + SECTIONS_OFFSET);

	make_file(true, 0);
	put_symbol(name, STT_OBJECT, DATA_OFFSET, 16);
	sections[S_SYMBOLS].sh_type = SHT_DYNSYM;
	sections[S_SYMBOLS].sh_size = elf.symbols * sizeof(Elf64_Sym);
	sections[S_STRINGS].sh_size = elf.strings;
	return vmt_go_image_is_plugin(&file);
}

/* By the name that Go 1.20 and later gives, and by that of earlier ones. */
static void
test_a_plugin_is_told_by_what_it_exports(void **state)
{
	struct vmt_go_file file = {elf.bytes, sizeof(elf.bytes)};

	(void)state;
	assert_true(is_plugin_that_exports("go:link.pkghash.runtime"));
	assert_true(is_plugin_that_exports("go.link.pkghash.runtime"));
	assert_false(is_plugin_that_exports("go:link.pkghash"));
	assert_false(is_plugin_that_exports("to:link.pkghash.runtime"));
	make_file(true, 0);
	assert_false(vmt_go_image_is_plugin(&file));
	make_file(false, 0);
	assert_false(vmt_go_image_is_plugin(&file));
}

static void
test_damaged_exports_end_well(void **state)
{
	uint32_t seed = 1;
	unsigned plugins = 0;

	(void)state;
	for (int round = 0; round < 5000; round++) {
		struct vmt_go_file file = {elf.bytes, sizeof(elf.bytes)};

		(void)is_plugin_that_exports("go:link.pkghash.runtime");
		for (int i = 0; i < 8; i++) {
			seed = seed * 1664525 + 1013904223;
			elf.bytes[SYMBOLS_OFFSET + (seed >> 8) % (FILE_BYTES - SYMBOLS_OFFSET)] =
			    (unsigned char)(seed >> 24);
		}
		plugins += vmt_go_image_is_plugin(&file);
	}
	assert_true(plugins > 0 && plugins < 5000);
}

/* Copies end at their last byte: what reads beyond shows under a checker of memory. */
static void
test_a_cut_file_is_read_within_its_bytes(void **state)
{
	struct vmt_go_image image;

	(void)state;
	for (int with_symbols = 0; with_symbols < 2; with_symbols++) {
		make_file(with_symbols, BASE + TEXT_OFFSET);
		for (uint64_t length = 0; length < sizeof(elf.bytes); length += 7) {
			unsigned char *copy = malloc(length ? length : 1);
			struct vmt_go_file file = {copy, length};

			assert_non_null(copy);
			memcpy(copy, elf.bytes, length);
			(void)vmt_go_functions_read(&image, &file);
			(void)vmt_go_image_is_plugin(&file);
			free(copy);
		}
	}
}

static void
test_damaged_files_end_well(void **state)
{
	struct vmt_go_image image;
	uint32_t seed = 1;

	(void)state;
	for (int round = 0; round < 20000; round++) {
		make_file(round & 1, round & 2 ? BASE + TEXT_OFFSET : 0);
		for (int i = 0; i < 4; i++) {
			seed = seed * 1664525 + 1013904223;
			elf.bytes[(seed >> 8) % sizeof(elf.bytes)] = (unsigned char)(seed >> 24);
		}
		(void)read_file(&image);
		assert_true(image.objects_count <= VMT_GO_OBJECTS);
		assert_true(image.text_low <= image.text_high);
	}
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_symbols_tell_all),
	    cmocka_unit_test(test_without_cgo),
	    cmocka_unit_test(test_a_stripped_program_has_its_function_table),
	    cmocka_unit_test(test_the_text_may_be_told_by_a_relocation),
	    cmocka_unit_test(test_the_text_may_be_told_by_the_module_data),
	    cmocka_unit_test(test_what_cannot_be_known_is_said),
	    cmocka_unit_test(test_a_program_of_go_is_told_without_a_note),
	    cmocka_unit_test(test_a_plugin_is_told_by_what_it_exports),
	    cmocka_unit_test(test_damaged_exports_end_well),
	    cmocka_unit_test(test_a_cut_file_is_read_within_its_bytes),
	    cmocka_unit_test(test_damaged_files_end_well),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
