/* Are the words found by which files call malloc, and do they lead to the handlers and back? */
#include "inject/got_entries.h"

#include "base/pages.h"

#include <elf.h>
#include <errno.h>
#include <link.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#if defined(__x86_64__)

/* -- a file by hand ---------------------------------------------------------------------------- */

#define SYMBOLS 8u

/* As it lies in a process; offsets are its addresses. */
struct image {
	Elf64_Ehdr header;
	Elf64_Phdr segments[2];
	Elf64_Dyn dynamic[16];
	Elf64_Sym symbols[SYMBOLS];
	Elf64_Rela relocations[2][SYMBOLS];
	char names[256];
	uint64_t words[2 * SYMBOLS];
	uint32_t symbols_count;
	uint32_t names_bytes;
	uint32_t counts[2];
};

static struct image image;
static uint64_t bias; /* what the loader has added to the addresses of the tables */

static int
read_own(void *context, uint64_t address, void *to, size_t bytes)
{
	return vmt_target_read(context, address, to, bytes);
}

static void
begin(bool relocated)
{
	memset(&image, 0, sizeof(image));
	bias = relocated ? (uint64_t)&image : 0;
	image.symbols_count = 1;
	image.names_bytes = 1;
}

/* A word of one of the tables, and what it leads to; `defined`: by the file itself. */
static void
word(int table, const char *name, uint64_t value, bool defined)
{
	uint32_t symbol = image.symbols_count++;
	uint32_t at = image.counts[table]++;
	uint32_t place = (uint32_t)table * SYMBOLS + at;

	assert_true(symbol < SYMBOLS);
	image.symbols[symbol] =
	    (Elf64_Sym){.st_name = image.names_bytes, .st_shndx = defined ? 1 : SHN_UNDEF};
	memcpy(image.names + image.names_bytes, name, strlen(name) + 1);
	image.names_bytes += (uint32_t)strlen(name) + 1;
	image.words[place] = value;
	image.relocations[table][at] =
	    (Elf64_Rela){.r_offset = offsetof(struct image, words) + place * 8,
			 .r_info = ELF64_R_INFO((uint64_t)symbol,
						table ? R_X86_64_JUMP_SLOT : R_X86_64_GLOB_DAT)};
}

static void
finish(void)
{
	const Elf64_Dyn dynamic[] = {
	    {DT_SYMTAB, {bias + offsetof(struct image, symbols)}},
	    {DT_STRTAB, {bias + offsetof(struct image, names)}},
	    {DT_STRSZ, {sizeof(image.names)}},
	    {DT_RELA, {bias + offsetof(struct image, relocations[0])}},
	    {DT_RELASZ, {image.counts[0] * sizeof(Elf64_Rela)}},
	    {DT_JMPREL, {bias + offsetof(struct image, relocations[1])}},
	    {DT_PLTRELSZ, {image.counts[1] * sizeof(Elf64_Rela)}},
	    {DT_PLTREL, {DT_RELA}},
	    {DT_NULL, {0}},
	};

	memcpy(image.header.e_ident, ELFMAG, SELFMAG);
	image.header.e_ident[EI_CLASS] = ELFCLASS64;
	image.header.e_machine = EM_X86_64;
	image.header.e_phoff = offsetof(struct image, segments);
	image.header.e_phentsize = sizeof(Elf64_Phdr);
	image.header.e_phnum = 2;
	image.segments[0] = (Elf64_Phdr){.p_type = PT_LOAD, .p_memsz = sizeof(image)};
	image.segments[1] = (Elf64_Phdr){.p_type = PT_DYNAMIC,
					 .p_vaddr = offsetof(struct image, dynamic),
					 .p_memsz = sizeof(image.dynamic)};
	memcpy(image.dynamic, dynamic, sizeof(dynamic));
}

static int
add(struct vmt_got_entries *entries, struct vmt_target *self)
{
	return vmt_got_entries_add(entries, (uint64_t)&image, read_own, self);
}

static const struct vmt_got_slot *
slot(const struct vmt_got_entries *entries, size_t i)
{
	assert_true(i < entries->count);
	return &((const struct vmt_got_slot *)(const void *)entries->buffer.bytes)[i];
}

static void
words_of_the_family_are_found(void **state)
{
	for (int relocated = 0; relocated < 2; relocated++) {
		struct vmt_got_entries entries = {.count = 0};

		begin(relocated);
		word(0, "free", 0x7000, false);
		word(0, "malloc_usable_size", 0x7100, false);
		word(1, "malloc", 0x7200, false);
		word(1, "a_name_that_is_longer_than_any_function_of_the_family", 0x7300, false);
		word(1, "calloc", (uint64_t)&image + 16, false); /* not filled in */
		finish();
		assert_int_equal(add(&entries, *state), 0);
		assert_int_equal(entries.count, 3);
		assert_int_equal(slot(&entries, 0)->entry, VMT_HEAP_ENTRY_FREE);
		assert_int_equal(slot(&entries, 0)->address, (uint64_t)&image.words[0]);
		assert_int_equal(slot(&entries, 0)->old_value, 0x7000);
		assert_int_equal(slot(&entries, 1)->entry, VMT_HEAP_ENTRY_MALLOC);
		assert_false(slot(&entries, 1)->is_lazy);
		assert_int_equal(slot(&entries, 2)->entry, VMT_HEAP_ENTRY_CALLOC);
		assert_true(slot(&entries, 2)->is_lazy);
		vmt_got_entries_close(&entries);
	}
}

/* Another file's word tells the function; without one it stays, and is counted. */
static void
a_word_that_is_not_filled_in_is_led_where_it_is_known(void **state)
{
	const uint64_t handlers[VMT_HEAP_ENTRIES_COUNT] = {0x1234};
	uint8_t stubs[2 * VMT_GOT_ENTRIES_STUB_BYTES];
	struct vmt_got_entries entries = {.count = 0};

	begin(true);
	word(0, "malloc", 0x7000, false);
	word(1, "malloc", (uint64_t)&image + 16, false);
	word(1, "calloc", (uint64_t)&image + 16, false);
	finish();
	assert_int_equal(add(&entries, *state), 0);
	assert_int_equal(vmt_got_entries_settle(&entries), VMT_GOT_ENTRIES_STUB_BYTES);
	vmt_got_entries_write_stubs(&entries, 0x10000, handlers, stubs);
	assert_int_equal(slot(&entries, 0)->new_value, 0x10000);
	assert_int_equal(slot(&entries, 1)->new_value, 0x10000);
	assert_int_equal(slot(&entries, 2)->new_value, 0);
	assert_int_equal(entries.unled, 1);
	vmt_got_entries_close(&entries);
	/* With two functions of that name nobody knows. */
	begin(true);
	word(0, "malloc", 0x7000, false);
	word(0, "malloc", 0x7100, false);
	word(1, "malloc", (uint64_t)&image + 16, false);
	finish();
	assert_int_equal(add(&entries, *state), 0);
	assert_int_equal(vmt_got_entries_settle(&entries), sizeof(stubs));
	vmt_got_entries_write_stubs(&entries, 0x10000, handlers, stubs);
	assert_int_equal(entries.unled, 1);
	vmt_got_entries_close(&entries);
}

static void
check_refused(struct vmt_target *self)
{
	struct vmt_got_entries entries = {.count = 0};

	assert_true(add(&entries, self) < 0);
	assert_int_equal(entries.count, 0);
	vmt_got_entries_close(&entries);
}

static void
begin_good(void)
{
	begin(false);
	word(0, "free", 0x7000, false);
	word(1, "malloc", 0x7200, false);
	finish();
}

static void
damaged_files_are_left_out(void **state)
{
	static const int tables[] = {0, 1, 3, 5}; /* of the dynamic section: addresses */

	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
		begin_good();
		image.dynamic[tables[i]].d_un.d_ptr = UINT64_MAX - 4;
		check_refused(*state);
	}
	begin_good();
	image.dynamic[4].d_un.d_val = UINT64_MAX; /* DT_RELASZ */
	check_refused(*state);
	begin_good();
	image.dynamic[7].d_un.d_val = DT_REL;
	check_refused(*state);
	begin_good();
	image.header.e_phnum = 65;
	check_refused(*state);
	begin_good();
	image.header.e_phoff = UINT64_MAX / 2;
	check_refused(*state);
	begin_good();
	image.segments[1].p_vaddr = UINT64_MAX / 2;
	check_refused(*state);
	begin_good();
	image.segments[0].p_memsz = 64; /* the tables are beyond */
	check_refused(*state);
	begin_good();
	image.header.e_ident[0] = 0;
	check_refused(*state);
}

/* A word or a name that can't be: the others are found. */
static void
damaged_words_are_left_out(void **state)
{
	struct vmt_got_entries entries = {.count = 0};

	begin_good();
	image.relocations[0][0].r_offset = UINT64_MAX / 2;
	assert_int_equal(add(&entries, *state), 0);
	assert_int_equal(entries.count, 1);
	entries.count = 0;
	begin_good();
	image.relocations[0][0].r_offset += 1;
	assert_int_equal(add(&entries, *state), 0);
	assert_int_equal(entries.count, 1);
	entries.count = 0;
	begin_good();
	image.relocations[0][0].r_info = ELF64_R_INFO(UINT64_C(0xffffffff), R_X86_64_GLOB_DAT);
	image.symbols[2].st_name = UINT32_MAX;
	assert_int_equal(add(&entries, *state), 0);
	assert_int_equal(entries.count, 0);
	vmt_got_entries_close(&entries);
}

/* -- this process ------------------------------------------------------------------------------ */

/* Counts, and goes on to the function that rcx has. */
uint64_t test_got_calls;
void test_got_handler(void);
__asm__(".pushsection .text\n"
	".globl test_got_handler\n"
	"test_got_handler:\n"
	"	lock incq test_got_calls(%rip)\n"
	"	jmp	*%rcx\n"
	".popsection\n");

struct listing {
	struct vmt_got_entries *entries;
	struct vmt_target *self;
	uint32_t files;
};

static int
add_loaded(struct dl_phdr_info *info, size_t size, void *context)
{
	struct listing *listing = context;

	(void)size;
	for (int i = 0; i < info->dlpi_phnum; i++)
		if (info->dlpi_phdr[i].p_type == PT_LOAD && info->dlpi_phdr[i].p_offset == 0 &&
		    vmt_got_entries_add(listing->entries,
					info->dlpi_addr + info->dlpi_phdr[i].p_vaddr, read_own,
					listing->self) == 0)
			listing->files++;
	return 0;
}

static void
check_words(const struct vmt_got_entries *entries, bool made)
{
	for (size_t i = 0; i < entries->count; i++) {
		const struct vmt_got_slot *one = slot(entries, i);
		uint64_t found = *(const volatile uint64_t *)one->address;

		if (made && one->new_value != 0)
			assert_int_equal(found, one->new_value);
		else
			assert_int_equal(found, one->old_value);
	}
}

static void
use_malloc(void)
{
	void *volatile block = malloc(100);
	char *volatile copy = strdup("by the C library");

	assert_non_null(block);
	assert_string_equal(copy, "by the C library");
	free(block);
	free(copy);
}

static void
all_of_this_process_leads_there_and_back(void **state)
{
	uint64_t handlers[VMT_HEAP_ENTRIES_COUNT];
	struct vmt_got_entries entries = {.count = 0};
	struct listing listing = {&entries, *state, 0};
	uint8_t *stubs =
	    mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_true(stubs != MAP_FAILED);
	use_malloc(); /* each word of this file's is filled in */
	dl_iterate_phdr(add_loaded, &listing);
	assert_true(listing.files >= 3); /* this one, cmocka, the C library */
	for (uint32_t i = 0; i < VMT_HEAP_ENTRIES_COUNT; i++)
		handlers[i] = (uint64_t)test_got_handler;
	assert_in_range(vmt_got_entries_settle(&entries), 2 * VMT_GOT_ENTRIES_STUB_BYTES, 4096);
	assert_false(entries.is_full);
	vmt_got_entries_write_stubs(&entries, (uint64_t)stubs, handlers, stubs);
	assert_int_equal(mprotect(stubs, 4096, PROT_READ | PROT_EXEC), 0);
	for (int round = 0; round < 20; round++) {
		test_got_calls = 0;
		assert_int_equal(vmt_got_entries_make(&entries, *state), 0);
		use_malloc();
		assert_int_equal(vmt_got_entries_undo(&entries, *state), 0);
		/* malloc and free twice; that of strdup, unless a sanitizer makes it. */
		assert_in_range(test_got_calls, 3, 8);
		check_words(&entries, false);
	}
	test_got_calls = 0;
	use_malloc();
	assert_int_equal(test_got_calls, 0);
	vmt_got_entries_close(&entries);
	munmap(stubs, 4096);
}

/* What the loader has filled in meanwhile is not touched, neither when made nor when undone. */
static void
a_word_with_another_value_stays(void **state)
{
	const uint64_t handlers[VMT_HEAP_ENTRIES_COUNT] = {0x1234};
	uint8_t stubs[2 * VMT_GOT_ENTRIES_STUB_BYTES];
	struct vmt_got_entries entries = {.count = 0};

	begin(true);
	word(0, "malloc", 0x7000, false);
	word(0, "free", 0x7100, false);
	finish();
	assert_int_equal(add(&entries, *state), 0);
	assert_int_equal(vmt_got_entries_settle(&entries), sizeof(stubs));
	vmt_got_entries_write_stubs(&entries, 0x10000, handlers, stubs);
	image.words[0] = 0x7777;
	assert_int_equal(vmt_got_entries_make(&entries, *state), 0);
	assert_int_equal(entries.unled, 1);
	assert_int_equal(image.words[0], 0x7777);
	assert_int_equal(image.words[1], slot(&entries, 1)->new_value);
	image.words[1] = 0x8888;
	assert_int_equal(vmt_got_entries_undo(&entries, *state), 0);
	assert_int_equal(image.words[0], 0x7777);
	assert_int_equal(image.words[1], 0x8888);
	vmt_got_entries_close(&entries);
}

static int
open_self(void **state)
{
	static struct vmt_target self;

	*state = &self;
	return vmt_target_open(&self, getpid());
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(words_of_the_family_are_found),
	    cmocka_unit_test(a_word_that_is_not_filled_in_is_led_where_it_is_known),
	    cmocka_unit_test(damaged_files_are_left_out),
	    cmocka_unit_test(damaged_words_are_left_out),
	    cmocka_unit_test(all_of_this_process_leads_there_and_back),
	    cmocka_unit_test(a_word_with_another_value_stays),
	};

	return cmocka_run_group_tests(tests, open_self, NULL);
}

#else

int
main(void)
{
	return cmocka_run_group_tests(((const struct CMUnitTest[]){{0}}), NULL, NULL);
}

#endif
