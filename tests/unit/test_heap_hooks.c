/* Which functions are an allocator's, and are they led to the handlers whole or not at all? */
#include "inject/heap_hooks.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <elf.h>

#define BIAS UINT64_C(0x1000000)
#define CODE UINT64_C(0x1000) /* in the file's addresses */
#define FUNCTION_BYTES 32u
#define SYMBOLS 80u

/* A file with nothing but symbols, and the code that they name. */
struct program {
	Elf64_Ehdr header;
	Elf64_Shdr sections[3];
	Elf64_Sym symbols[SYMBOLS];
	char names[SYMBOLS * 40];
	uint32_t count;
	uint32_t names_bytes;
	uint8_t code[SYMBOLS * FUNCTION_BYTES];
};

static void
begin(struct program *program)
{
	memset(program, 0, sizeof(*program));
	memset(program->code, 0x90, sizeof(program->code));
	program->names_bytes = 1;
}

static void
put_function(struct program *program, uint32_t at)
{
	static const uint8_t code[] = {0x55, 0x48, 0x89, 0xe5, 0x53, 0x31, 0xc0, 0x5b, 0x5d, 0xc3};

	memcpy(program->code + at * FUNCTION_BYTES, code, sizeof(code));
}

/* A function at one of the places. */
static void
name(struct program *program, const char *name, uint32_t at, unsigned char binding)
{
	Elf64_Sym *symbol = &program->symbols[program->count++];

	assert_true(program->count <= SYMBOLS);
	*symbol = (Elf64_Sym){.st_name = program->names_bytes,
			      .st_info = ELF64_ST_INFO(binding, STT_FUNC),
			      .st_shndx = 1,
			      .st_value = CODE + at * FUNCTION_BYTES,
			      .st_size = FUNCTION_BYTES};
	memcpy(program->names + program->names_bytes, name, strlen(name));
	program->names_bytes += (uint32_t)strlen(name) + 1;
	put_function(program, at);
}

static struct vmt_file
file_of(struct program *program)
{
	memcpy(program->header.e_ident, ELFMAG, SELFMAG);
	program->header.e_ident[EI_CLASS] = ELFCLASS64;
	program->header.e_ident[EI_DATA] = ELFDATA2LSB;
	program->header.e_shoff = offsetof(struct program, sections);
	program->header.e_shentsize = sizeof(Elf64_Shdr);
	program->header.e_shnum = 3;
	program->header.e_shstrndx = 2;
	program->sections[1] = (Elf64_Shdr){.sh_type = SHT_SYMTAB,
					    .sh_offset = offsetof(struct program, symbols),
					    .sh_size = program->count * sizeof(Elf64_Sym),
					    .sh_entsize = sizeof(Elf64_Sym),
					    .sh_link = 2};
	program->sections[2] = (Elf64_Shdr){.sh_type = SHT_STRTAB,
					    .sh_offset = offsetof(struct program, names),
					    .sh_size = program->names_bytes};
	return (struct vmt_file){(const uint8_t *)program, sizeof(*program)};
}

static void
judge_with(struct program *program, struct vmt_heap_hooks *hooks, struct vmt_heap_hooks begun)
{
	struct vmt_file file = file_of(program);
	struct vmt_code_segment segment = {BIAS + CODE, sizeof(program->code), program->code, true};
	struct vmt_code_map map = {.bias = BIAS};

	*hooks = begun;
	assert_int_equal(vmt_code_map_add_segment(&map, &segment), 0);
	assert_int_equal(vmt_file_functions_add(&file, &map), 0);
	vmt_code_map_settle(&map);
	vmt_heap_hooks_collect(hooks, &file, BIAS);
	assert_int_equal(vmt_heap_hooks_judge(hooks, &map), 0);
	vmt_code_map_close(&map);
}

static void
judge_as(struct program *program, struct vmt_heap_hooks *hooks, bool may_throw)
{
	judge_with(program, hooks, (struct vmt_heap_hooks){.may_throw = may_throw});
}

static void
judge(struct program *program, struct vmt_heap_hooks *hooks)
{
	judge_as(program, hooks, false);
}

static const struct vmt_heap_function *
at(const struct vmt_heap_hooks *hooks, uint32_t place)
{
	for (uint32_t i = 0; i < hooks->count; i++)
		if (hooks->functions[i].address == BIAS + CODE + place * FUNCTION_BYTES)
			return &hooks->functions[i];
	return NULL;
}

static void
one_function_has_many_names(void **state)
{
	struct program *program = *state;
	struct vmt_heap_hooks hooks;

	begin(program);
	name(program, "free", 1, STB_GLOBAL);
	name(program, "malloc", 0, STB_LOCAL); /* as in glibc's static-pie */
	name(program, "__malloc", 0, STB_GLOBAL);
	name(program, "cfree", 1, STB_WEAK);
	name(program, "calloc", 2, STB_WEAK);
	name(program, "main", 3, STB_GLOBAL);
	judge(program, &hooks);
	assert_int_equal(hooks.count, 3);
	assert_int_equal(hooks.led, 3);
	assert_int_equal(hooks.unled_at, 0);
	assert_int_equal(at(&hooks, 0)->entry, VMT_HEAP_ENTRY_MALLOC);
	assert_int_equal(at(&hooks, 1)->entry, VMT_HEAP_ENTRY_FREE);
	assert_int_equal(at(&hooks, 2)->entry, VMT_HEAP_ENTRY_CALLOC);
	assert_false(hooks.is_glibc);
}

static void
prefixes_of_known_allocators_count(void **state)
{
	static const char *const prefixes[] = {"je_", "_rjem_", "tc_", "mi_", "rp"};
	struct program *program = *state;
	struct vmt_heap_hooks hooks;
	char text[32];

	begin(program);
	for (uint32_t i = 0; i < 5; i++) {
		strcat(strcpy(text, prefixes[i]), "malloc");
		name(program, text, 2 * i, STB_LOCAL);
		strcat(strcpy(text, prefixes[i]), "free");
		name(program, text, 2 * i + 1, STB_LOCAL);
	}
	name(program, "_rjem_sdallocx", 10, STB_LOCAL);
	name(program, "mi_malloc_aligned", 11, STB_GLOBAL);
	name(program, "xmalloc", 12, STB_GLOBAL);
	name(program, "je_malloc_stats", 13, STB_GLOBAL);
	name(program, "zalloc", 14, STB_GLOBAL);
	name(program, "_malloc", 15, STB_GLOBAL);
	judge(program, &hooks);
	assert_int_equal(hooks.count, 12);
	assert_int_equal(hooks.led, 12);
	assert_int_equal(at(&hooks, 10)->entry, VMT_HEAP_ENTRY_FREE);
	assert_int_equal(at(&hooks, 11)->entry, VMT_HEAP_ENTRY_MALLOC);
}

/* What another source file can't call is its own file's business. */
static void
local_helpers_are_no_allocator(void **state)
{
	struct program *program = *state;
	struct vmt_heap_hooks hooks;

	begin(program);
	name(program, "malloc", 0, STB_LOCAL);
	name(program, "free", 1, STB_LOCAL);
	judge(program, &hooks);
	assert_int_equal(hooks.count, 0);
	assert_int_equal(hooks.unled_at, 0);
}

static void
a_family_is_led_whole_or_not_at_all(void **state)
{
	static const uint8_t call[] = {0xe8, 0, 0, 0, 0, 0xc3};
	struct program *program = *state;
	struct vmt_heap_hooks hooks;

	begin(program);
	name(program, "malloc", 0, STB_GLOBAL);
	name(program, "free", 1, STB_GLOBAL);
	name(program, "_rjem_malloc", 2, STB_GLOBAL);
	name(program, "_rjem_free", 3, STB_GLOBAL);
	name(program, "_rjem_realloc", 4, STB_GLOBAL);
	memcpy(program->code + 4 * FUNCTION_BYTES, call, sizeof(call));
	judge(program, &hooks);
	assert_int_equal(hooks.count, 5);
	assert_int_equal(hooks.led, 2);
	assert_true(at(&hooks, 0)->is_led && at(&hooks, 1)->is_led);
	assert_false(at(&hooks, 2)->is_led || at(&hooks, 3)->is_led);
	assert_int_equal(hooks.unled_at, BIAS + CODE + 4 * FUNCTION_BYTES);
	assert_non_null(strstr(hooks.unled_why, "can't run elsewhere"));
	/* tcmalloc's malloc is tc_malloc: one allocator, by whichever name. */
	begin(program);
	name(program, "malloc", 0, STB_GLOBAL);
	name(program, "tc_malloc", 0, STB_GLOBAL);
	name(program, "free", 1, STB_GLOBAL);
	name(program, "tc_free", 1, STB_GLOBAL);
	name(program, "tc_realloc", 2, STB_GLOBAL);
	memcpy(program->code + 2 * FUNCTION_BYTES, call, sizeof(call));
	judge(program, &hooks);
	assert_int_equal(hooks.led, 0);
}

static void
what_only_releases_is_no_allocator(void **state)
{
	struct program *program = *state;
	struct vmt_heap_hooks hooks;

	begin(program);
	name(program, "free", 0, STB_GLOBAL);
	name(program, "realloc", 1, STB_GLOBAL);
	judge(program, &hooks);
	assert_int_equal(hooks.count, 2);
	assert_int_equal(hooks.led, 0);
	assert_true(hooks.unled_at != 0);
}

static void
names_that_disagree_lead_nowhere(void **state)
{
	struct program *program = *state;
	struct vmt_heap_hooks hooks;

	begin(program);
	name(program, "malloc", 0, STB_GLOBAL);
	name(program, "free", 1, STB_GLOBAL);
	name(program, "memalign", 2, STB_GLOBAL);
	name(program, "aligned_alloc", 2, STB_GLOBAL);
	judge(program, &hooks);
	assert_int_equal(hooks.led, 3);
	name(program, "realloc", 1, STB_GLOBAL);
	judge(program, &hooks);
	assert_int_equal(hooks.led, 0);
	assert_non_null(strstr(hooks.unled_why, "two different functions"));
}

/* Of a C library's malloc operator new is seen through malloc; of another one it is led, or else
 * nothing is. */
static void
operators_go_with_a_malloc_of_their_own(void **state)
{
	struct program *program = *state;
	struct vmt_heap_hooks hooks;

	begin(program);
	name(program, "_Znwm", 0, STB_GLOBAL);
	name(program, "_ZdlPv", 1, STB_GLOBAL);
	judge_as(program, &hooks, true);
	assert_int_equal(hooks.count, 0);
	assert_int_equal(hooks.unled_at, 0);
	name(program, "malloc", 2, STB_GLOBAL);
	name(program, "free", 3, STB_GLOBAL);
	judge(program, &hooks);
	assert_int_equal(hooks.led, 2);
	judge_as(program, &hooks, true);
	assert_int_equal(hooks.led, 4);
	assert_int_equal(at(&hooks, 0)->entry, VMT_HEAP_ENTRY_NEW);
	assert_int_equal(at(&hooks, 1)->entry, VMT_HEAP_ENTRY_DELETE);
	name(program, "tc_malloc", 2, STB_GLOBAL);
	name(program, "tc_free", 3, STB_GLOBAL);
	judge(program, &hooks);
	assert_int_equal(hooks.led, 0);
	assert_non_null(strstr(hooks.unled_why, "may throw"));
	judge_as(program, &hooks, true);
	assert_int_equal(hooks.led, 4);
}

/* An operator new that may throw goes by malloc; what malloc can't do for it is left alone. */
static void
operators_of_an_allocator_go_by_its_malloc(void **state)
{
	const struct vmt_heap_hooks begun = {.owns_operators = true};
	static const uint8_t load[] = {0x48, 0x89, 0x44, 0x24, 0xf0, 0x48, 0x8d, 0x05};
	static const uint8_t store[] = {0x48, 0x89, 0x44, 0x24, 0xe0}; /* -32: the other's word */
	uint8_t stubs[8 * VMT_ENTRY_HOOK_STUB_BYTES];
	const uint64_t handlers[VMT_HEAP_ENTRIES_COUNT] = {0};
	struct program *program = *state;
	const struct vmt_entry_hook *hook;
	struct vmt_heap_hooks hooks;
	const uint8_t *stub;
	int32_t distance;

	begin(program);
	name(program, "_Znwm", 0, STB_GLOBAL);
	name(program, "_ZnwmSt11align_val_t", 1, STB_GLOBAL);
	name(program, "_ZnwmRKSt9nothrow_t", 2, STB_GLOBAL);
	name(program, "_ZdlPv", 3, STB_GLOBAL);
	name(program, "malloc", 4, STB_GLOBAL);
	name(program, "free", 5, STB_GLOBAL);
	name(program, "mallocx", 6, STB_GLOBAL);
	judge_with(program, &hooks, begun);
	assert_int_equal(hooks.led, 6);
	assert_int_equal(vmt_heap_hooks_unled(&hooks), 1);
	assert_int_equal(hooks.unled_at, BIAS + CODE + FUNCTION_BYTES);
	assert_string_equal(hooks.unled_why, "may throw");
	assert_int_equal(at(&hooks, 0)->entry, VMT_HEAP_ENTRY_NEW_OR_ELSE);
	assert_int_equal(at(&hooks, 2)->entry, VMT_HEAP_ENTRY_NEW_NOTHROW);
	assert_int_equal(at(&hooks, 3)->entry, VMT_HEAP_ENTRY_DELETE);
	assert_int_equal(vmt_heap_hooks_write_stubs(&hooks, BIAS + 0x100000, handlers, stubs), 0);
	hook = &at(&hooks, 0)->hook;
	stub = stubs + (hook->stub - (BIAS + 0x100000));
	assert_memory_equal(stub, load, sizeof(load));
	memcpy(&distance, stub + sizeof(load), sizeof(distance));
	assert_int_equal(hook->stub + 12 + (uint64_t)(int64_t)distance,
			 at(&hooks, 4)->hook.function);
	assert_memory_equal(stub + 12, store, sizeof(store));
	hook = &at(&hooks, 4)->hook;
	assert_memory_not_equal(stubs + (hook->stub - (BIAS + 0x100000)) + 12, store,
				sizeof(store));
}

/* Which of two does it belong to? And without a delete, nothing says that it does. */
static void
operators_beside_two_mallocs_are_left_alone(void **state)
{
	const struct vmt_heap_hooks begun = {.owns_operators = true};
	struct program *program = *state;
	struct vmt_heap_hooks hooks;

	begin(program);
	name(program, "_Znwm", 0, STB_GLOBAL);
	name(program, "_ZdlPv", 1, STB_GLOBAL);
	name(program, "malloc", 2, STB_GLOBAL);
	name(program, "free", 3, STB_GLOBAL);
	name(program, "je_malloc", 4, STB_GLOBAL);
	name(program, "je_free", 5, STB_GLOBAL);
	judge_with(program, &hooks, begun);
	assert_int_equal(hooks.led, 5);
	assert_false(at(&hooks, 0)->is_led);
	assert_true(at(&hooks, 1)->is_led);
	assert_string_equal(hooks.unled_why, "may throw");
	begin(program);
	name(program, "_Znwm", 0, STB_GLOBAL);
	name(program, "malloc", 2, STB_GLOBAL);
	name(program, "free", 3, STB_GLOBAL);
	judge_with(program, &hooks, begun);
	assert_int_equal(hooks.led, 0);
}

/* One more that can't be led takes its operators with it, and they take it. */
static void
one_function_in_use_leaves_the_family_out(void **state)
{
	const struct vmt_heap_hooks begun = {.owns_operators = true};
	struct program *program = *state;
	struct vmt_heap_hooks hooks;

	begin(program);
	name(program, "_Znwm", 0, STB_GLOBAL);
	name(program, "_ZdlPv", 1, STB_GLOBAL);
	name(program, "malloc", 2, STB_GLOBAL);
	name(program, "free", 3, STB_GLOBAL);
	judge_with(program, &hooks, begun);
	assert_int_equal(hooks.led, 4);
	vmt_heap_hooks_refuse(&hooks, 1, "is run");
	assert_int_equal(hooks.led, 0);
	assert_int_equal(vmt_heap_hooks_unled(&hooks), 4);
	assert_int_equal(hooks.unled_at, BIAS + CODE + FUNCTION_BYTES);
	assert_string_equal(hooks.unled_why, "is run");
}

static void
a_file_with_a_malloc_is_an_allocator(void **state)
{
	struct program *program = *state;
	struct vmt_file file;

	begin(program);
	name(program, "malloc", 0, STB_GLOBAL);
	file = file_of(program);
	assert_false(vmt_heap_hooks_is_allocator(&file));
	name(program, "free", 1, STB_GLOBAL);
	file = file_of(program);
	assert_true(vmt_heap_hooks_is_allocator(&file));
	begin(program);
	name(program, "_Znwm", 0, STB_GLOBAL);
	name(program, "_ZdlPv", 1, STB_GLOBAL);
	file = file_of(program);
	assert_false(vmt_heap_hooks_is_allocator(&file));
}

/* The file is another's: looking through it has an end. */
static void
one_of_too_many_symbols_is_none(void **state)
{
	size_t bytes = sizeof(struct program) + VMT_HEAP_HOOKS_SYMBOLS_KNOWN_BYTES;
	struct program *program = calloc(1, bytes);
	struct vmt_file file;

	(void)state;
	assert_non_null(program);
	begin(program);
	name(program, "malloc", 0, STB_GLOBAL);
	name(program, "free", 1, STB_GLOBAL);
	file = (struct vmt_file){file_of(program).bytes, bytes};
	program->sections[1].sh_size = VMT_HEAP_HOOKS_SYMBOLS_KNOWN_BYTES;
	assert_true(vmt_heap_hooks_is_allocator(&file));
	program->sections[1].sh_size++;
	assert_false(vmt_heap_hooks_is_allocator(&file));
	free(program);
}

/* Each symbol may have the same name of many bytes. */
static void
a_name_without_end_is_none(void **state)
{
	struct vmt_heap_hooks hooks = {.owns_operators = true};
	struct program *program = *state;
	char long_name[300] = "_Znwm";
	struct vmt_file file;

	memset(long_name + 5, 'x', sizeof(long_name) - 6);
	begin(program);
	name(program, long_name, 0, STB_GLOBAL);
	name(program, "malloc", 1, STB_GLOBAL);
	file = file_of(program);
	vmt_heap_hooks_collect(&hooks, &file, BIAS);
	assert_int_equal(hooks.count, 1);
	assert_false(hooks.has_new);
}

static void
too_many_are_left_alone(void **state)
{
	struct program *program = *state;
	struct vmt_heap_hooks hooks;

	begin(program);
	for (uint32_t i = 0; i < VMT_HEAP_HOOKS_MAX; i++)
		name(program, "je_malloc", i, STB_LOCAL);
	name(program, "je_free", VMT_HEAP_HOOKS_MAX, STB_LOCAL);
	judge(program, &hooks);
	assert_int_equal(hooks.count, VMT_HEAP_HOOKS_MAX);
	assert_int_equal(hooks.led, 0);
	assert_true(hooks.unled_at != 0);
}

static void
a_cut_in_a_function_leaves_its_family_out(void **state)
{
	struct program *program = *state;
	struct vmt_heap_hooks hooks;
	uint64_t malloc_at = BIAS + CODE;

	begin(program);
	name(program, "malloc", 0, STB_GLOBAL);
	name(program, "free", 1, STB_GLOBAL);
	judge(program, &hooks);
	vmt_heap_hooks_refuse_overlap(&hooks, malloc_at + 5, malloc_at + 10);
	assert_int_equal(hooks.led, 2);
	vmt_heap_hooks_refuse_overlap(&hooks, malloc_at + 4, malloc_at + 10);
	assert_int_equal(hooks.led, 0);
	assert_int_equal(hooks.unled_at, malloc_at);
}

static void
stubs_lead_to_the_handlers(void **state)
{
	uint64_t handlers[VMT_HEAP_ENTRIES_COUNT];
	uint8_t stubs[2 * VMT_ENTRY_HOOK_STUB_BYTES];
	struct program *program = *state;
	struct vmt_heap_hooks hooks;

	begin(program);
	name(program, "malloc", 0, STB_GLOBAL);
	name(program, "free", 1, STB_GLOBAL);
	judge(program, &hooks);
	for (uint32_t i = 0; i < VMT_HEAP_ENTRIES_COUNT; i++)
		handlers[i] = UINT64_C(0x7f1234560000) + i;
	assert_int_equal(vmt_heap_hooks_stub_bytes(&hooks), sizeof(stubs));
	assert_int_equal(vmt_heap_hooks_write_stubs(&hooks, BIAS + 0x100000, handlers, stubs), 0);
	for (uint32_t i = 0; i < hooks.count; i++) {
		const struct vmt_heap_function *function = &hooks.functions[i];
		const uint8_t *stub = stubs + (function->hook.stub - (BIAS + 0x100000));

		/* mov 5 bytes, lea 7, mov 5, jmp 6, 1 to the next word: the handler */
		assert_memory_equal(stub + 24, &handlers[function->entry], 8);
		assert_int_equal(function->hook.new_bytes[0], 0xe9);
	}
	assert_int_equal(
	    vmt_heap_hooks_write_stubs(&hooks, BIAS + (UINT64_C(1) << 40), handlers, stubs),
	    -ERANGE);
}

static int
make_program(void **state)
{
	*state = malloc(sizeof(struct program));
	return *state ? 0 : -1;
}

static int
drop_program(void **state)
{
	free(*state);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(one_function_has_many_names),
	    cmocka_unit_test(prefixes_of_known_allocators_count),
	    cmocka_unit_test(local_helpers_are_no_allocator),
	    cmocka_unit_test(a_family_is_led_whole_or_not_at_all),
	    cmocka_unit_test(what_only_releases_is_no_allocator),
	    cmocka_unit_test(names_that_disagree_lead_nowhere),
	    cmocka_unit_test(operators_go_with_a_malloc_of_their_own),
	    cmocka_unit_test(operators_of_an_allocator_go_by_its_malloc),
	    cmocka_unit_test(operators_beside_two_mallocs_are_left_alone),
	    cmocka_unit_test(one_function_in_use_leaves_the_family_out),
	    cmocka_unit_test(a_file_with_a_malloc_is_an_allocator),
	    cmocka_unit_test(one_of_too_many_symbols_is_none),
	    cmocka_unit_test(a_name_without_end_is_none),
	    cmocka_unit_test(too_many_are_left_alone),
	    cmocka_unit_test(a_cut_in_a_function_leaves_its_family_out),
	    cmocka_unit_test(stubs_lead_to_the_handlers),
	};

	return cmocka_run_group_tests(tests, make_program, drop_program);
}
