/* Functions are run as they were and hooked, by a handler that calls them: with the same registers
 * before, all must be the same afterwards. */
#include "inject/entry_hook.h"

#include "inject/file_functions.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/near_code.h"

#if defined(__x86_64__)

/* Counts without a flag or a register changed, and goes on to the function as it was. */
uint64_t test_hook_calls;
uint64_t test_hook_function;
uint64_t test_hook_other;
void test_hook_handler(void);
__asm__(".pushsection .text\n"
	".globl test_hook_handler\n"
	"test_hook_handler:\n"
	"	mov	-24(%rsp), %rax\n"
	"	mov	%rax, test_hook_function(%rip)\n"
	"	mov	-32(%rsp), %rax\n"
	"	mov	%rax, test_hook_other(%rip)\n"
	"	mov	test_hook_calls(%rip), %rax\n"
	"	lea	1(%rax), %rax\n"
	"	mov	%rax, test_hook_calls(%rip)\n"
	"	mov	-16(%rsp), %rax\n"
	"	jmp	*test_hook_function(%rip)\n"
	".popsection\n");

#define RET 0xc3
#define LANDING 0xf3, 0x0f, 0x1e, 0xfa

static struct vmt_entry_site
find_in(const uint8_t *code, size_t length, uint64_t at)
{
	struct vmt_code_segment segment = {(uint64_t)code, length, code, true};
	struct vmt_code_map map = {0};
	struct vmt_entry_site site;
	uint64_t function = (uint64_t)code + at;

	assert_int_equal(vmt_code_map_add_segment(&map, &segment), 0);
	assert_int_equal(vmt_code_map_add_function(&map, (uint64_t)code, (uint64_t)code + length),
			 0);
	vmt_code_map_settle(&map);
	assert_int_equal(vmt_entry_hook_find(&map, &function, 1, &site), 0);
	vmt_code_map_close(&map);
	return site;
}

static struct near_registers
some_registers(uint64_t rdi, uint64_t flags)
{
	struct near_registers registers = {.flags = flags};

	for (size_t i = 0; i < NEAR_REGISTERS; i++)
		registers.words[i] = 0x1111111111111111 * (i + 1);
	registers.words[NEAR_RDI] = rdi;
	return registers;
}

static void
install(struct near_pages *pages, const struct vmt_entry_site *site, struct vmt_entry_hook *hook)
{
	long bytes = vmt_entry_hook_make(site, (uint64_t)pages->stubs, (uint64_t)test_hook_handler,
					 (uint64_t)pages->code, pages->stubs, hook);

	assert_true(bytes > 0 && bytes <= VMT_ENTRY_HOOK_STUB_BYTES);
	assert_int_equal(hook->length, site->cut_bytes);
	assert_memory_equal((const void *)hook->address, hook->old_bytes, hook->length);
	memcpy((void *)hook->address, hook->new_bytes, hook->length);
}

/* cut: how many bytes are replaced, from offset `at` on. */
static void
check_hooked(const uint8_t *code, size_t length, uint64_t at, uint8_t cut)
{
	static const uint64_t arguments[] = {0, 1, 0x1000};
	struct near_pages pages = near_pages_map();
	struct near_registers expected[3];
	struct near_registers found;
	struct vmt_entry_hook hook;
	struct vmt_entry_site site;
	uint8_t below[128];

	memcpy(pages.code, code, length);
	for (size_t i = 0; i < 3; i++) {
		expected[i] = some_registers(arguments[i], 0xed7);
		near_run(pages.code, &expected[i], below);
	}
	site = find_in(pages.code, length, 0);
	assert_int_equal(site.verdict, VMT_SITE_CUT);
	assert_int_equal(site.address, (uint64_t)pages.code + at);
	assert_int_equal(site.cut_bytes, cut);
	install(&pages, &site, &hook);
	test_hook_calls = 0;
	for (size_t i = 0; i < 3; i++) {
		found = some_registers(arguments[i], 0xed7);
		near_run(pages.code, &found, below);
		assert_int_equal(test_hook_function, hook.function);
		assert_int_equal(test_hook_other, (uint64_t)pages.code);
		assert_memory_equal(&found, &expected[i], sizeof(found));
	}
	assert_int_equal(test_hook_calls, 3);
	memcpy((void *)hook.address, hook.old_bytes, hook.length);
	assert_memory_equal(pages.code, code, length);
	near_pages_unmap(&pages);
}

#define HOOKED(at, cut, ...)                                                                       \
	check_hooked((const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}), at,   \
		     cut)

static void
a_hooked_function_does_what_it_did(void **state)
{
	(void)state;
	/* push %rbp; mov %rsp,%rbp; push %rbx; lea 1(%rdi),%rax; pop %rbx; pop %rbp */
	HOOKED(0, 5, 0x55, 0x48, 0x89, 0xe5, 0x53, 0x48, 0x8d, 0x47, 0x01, 0x5b, 0x5d, RET);
	HOOKED(4, 5, LANDING, 0x55, 0x48, 0x89, 0xe5, 0x53, 0x48, 0x8d, 0x47, 0x01, 0x5b, 0x5d,
	       RET);
	/* sub $0x18,%rsp; mov %rdi,%rax; add $0x18,%rsp */
	HOOKED(0, 7, 0x48, 0x83, 0xec, 0x18, 0x48, 0x89, 0xf8, 0x48, 0x83, 0xc4, 0x18, RET);
	/* A whole function of just one jump's length. */
	HOOKED(0, 5, 0x48, 0x8d, 0x47, 0x01, RET);
	/* One that leaves all registers alone. */
	HOOKED(0, 5, 0x0f, 0x1f, 0x44, 0, 0, RET);
}

static void
branches_in_the_beginning_go_where_they_went(void **state)
{
	(void)state;
	/* test %rdi,%rdi; je to the last ret; lea 1(%rdi),%rax; ret; mov %rsi,%rax; ret */
	HOOKED(0, 5, 0x48, 0x85, 0xff, 0x74, 0x05, 0x48, 0x8d, 0x47, 0x01, RET, 0x48, 0x89, 0xf0,
	       RET);
	/* ... with a distance of 4 bytes */
	HOOKED(0, 9, 0x48, 0x85, 0xff, 0x0f, 0x84, 0x05, 0, 0, 0, 0x48, 0x8d, 0x47, 0x01, RET, 0x48,
	       0x89, 0xf0, RET);
	/* jmp to the function behind it, by 4 bytes, and by 1 after a mov */
	HOOKED(0, 5, 0xe9, 0x01, 0, 0, 0, RET, 0x48, 0x8d, 0x47, 0x01, RET);
	HOOKED(0, 5, 0x48, 0x89, 0xf8, 0xeb, 0x01, RET, 0x48, 0x8d, 0x47, 0x01, RET);
}

static void
what_is_relative_reaches_the_same_place(void **state)
{
	(void)state;
	/* mov 1(%rip),%eax; ret; the number. cmpl $1,1(%rip); ret */
	HOOKED(0, 6, 0x8b, 0x05, 0x01, 0, 0, 0, RET, 0x6e, 0, 0, 0, 0);
	HOOKED(0, 7, 0x83, 0x3d, 0x01, 0, 0, 0, 0x6e, RET, 0x6e, 0, 0, 0, 0);
}

static void
check_refused(const uint8_t *code, size_t length, enum vmt_site_verdict verdict)
{
	assert_int_equal(find_in(code, length, 0).verdict, verdict);
}

#define REFUSED(verdict, ...)                                                                      \
	check_refused((const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}),      \
		      verdict)

static void
what_can_not_be_hooked_is_told(void **state)
{
	(void)state;
	REFUSED(VMT_SITE_NO_ROOM, 0x31, 0xc0, RET, 0x90, 0x90, 0x90, 0x90);
	REFUSED(VMT_SITE_NO_ROOM, 0x48, 0x89, 0xf8);
	REFUSED(VMT_SITE_CANT_MOVE, 0xe8, 0, 0, 0, 0, RET);
	REFUSED(VMT_SITE_CANT_MOVE, 0x55, 0xff, 0xd0, 0x5d, RET, 0x90);
	REFUSED(VMT_SITE_CANT_MOVE, 0x48, 0x89, 0xf8, 0xe2, 0xfb, RET); /* loop */
	REFUSED(VMT_SITE_UNKNOWN_CODE, 0x48, 0x89, 0xf8, 0x06, 0x06, 0x06, RET);
	REFUSED(VMT_SITE_UNKNOWN_CODE, 0x48, 0x89, 0xf8, 0x48, 0x89, 0xf8, RET, 0x06);
	/* A loop back to the second instruction; to the first it may go. */
	REFUSED(VMT_SITE_JUMPED_INTO, 0x48, 0x89, 0xf8, 0xff, 0xc0, 0xeb, 0xfc, RET);
	REFUSED(VMT_SITE_CUT, 0x48, 0x89, 0xf8, 0xff, 0xc0, 0xeb, 0xf9, RET);
	REFUSED(VMT_SITE_JUMPED_INTO, 0x48, 0x89, 0xf8, 0xff, 0xc0, 0xe9, 0xf9, 0xff, 0xff, 0xff,
		RET);
}

/* shr $0x20,%eax; add %al,(%rax); add %al,%al: its e8 and the bytes behind it would be a call of
 * the middle. The same bytes in no known function may be one. */
static void
what_only_looks_like_a_jump_is_none(void **state)
{
	static const uint8_t shift[] = {0xc1, 0xe8, 0x20, 0, 0, 0, 0xc0, RET};
	static const uint8_t hooked[] = {0x48, 0x89, 0xf8, 0x48, 0x89, 0xf0, RET};
	uint8_t code[64];
	struct vmt_code_segment segment = {0x401000, sizeof(code), code, true};
	const uint64_t function = 0x401000 + 35; /* 2 + 4 + 0x20 is its fourth byte */

	(void)state;
	memset(code, 0x90, sizeof(code));
	memcpy(code, shift, sizeof(shift));
	memcpy(code + 35, hooked, sizeof(hooked));
	for (int known = 0; known < 2; known++) {
		struct vmt_entry_site site;
		struct vmt_code_map map = {0};

		assert_int_equal(vmt_code_map_add_segment(&map, &segment), 0);
		if (known)
			assert_int_equal(
			    vmt_code_map_add_function(&map, 0x401000, 0x401000 + sizeof(shift)), 0);
		assert_int_equal(
		    vmt_code_map_add_function(&map, function, function + sizeof(hooked)), 0);
		vmt_code_map_settle(&map);
		assert_int_equal(vmt_entry_hook_find(&map, &function, 1, &site), 0);
		assert_int_equal(site.verdict, known ? VMT_SITE_CUT : VMT_SITE_JUMPED_INTO);
		vmt_code_map_close(&map);
	}
}

static void
functions_are_judged_together(void **state)
{
	/* Two of 3 and of 9 bytes, and one that only a jump from the second reaches. */
	static const uint8_t code[] = {0x89, 0xf8, RET,	 0x48, 0x89, 0xf8, 0x48, 0x89, 0xf0, 0xeb,
				       0x03, RET,  0x48, 0x89, 0xf8, 0x48, 0x89, 0xf0, RET};
	struct vmt_code_segment segment = {0x401000, sizeof(code), code, true};
	const uint64_t functions[] = {0x401000, 0x401003, 0x40100c};
	struct vmt_entry_site sites[3];
	struct vmt_code_map map = {0};

	(void)state;
	assert_int_equal(vmt_code_map_add_segment(&map, &segment), 0);
	vmt_code_map_settle(&map);
	assert_int_equal(vmt_entry_hook_find(&map, functions, 3, sites), 0);
	assert_int_equal(sites[0].verdict, VMT_SITE_NO_ROOM);
	assert_int_equal(sites[1].verdict, VMT_SITE_CUT);
	assert_int_equal(sites[1].cut_bytes, 6);
	assert_int_equal(sites[2].verdict, VMT_SITE_JUMPED_INTO);
	assert_int_equal(vmt_entry_hook_find(&map, (const uint64_t[]){2, 1}, 2, sites), -EINVAL);
	assert_int_equal(vmt_entry_hook_find(&map, (const uint64_t[]){7}, 1, sites), 0);
	assert_int_equal(sites[0].verdict, VMT_SITE_UNKNOWN_CODE);
	vmt_code_map_close(&map);
}

static void
a_thread_in_the_cut_can_be_moved(void **state)
{
	static const uint8_t code[] = {0x48, 0x85, 0xff, 0x74, 0x05, 0x48, 0x8d,
				       0x47, 0x01, RET,	 0x48, 0x89, 0xf0, RET};
	struct near_pages pages = near_pages_map();
	struct vmt_entry_hook hook;
	struct vmt_entry_site site;
	uint64_t at;

	(void)state;
	memcpy(pages.code, code, sizeof(code));
	at = (uint64_t)pages.code;
	site = find_in(pages.code, sizeof(code), 0);
	install(&pages, &site, &hook);
	assert_int_equal(vmt_entry_hook_into_stub(&hook, at), at); /* runs the jump */
	assert_int_equal(vmt_entry_hook_into_stub(&hook, at + 3), hook.function + 3);
	assert_int_equal(*(const uint8_t *)(hook.function + 3), 0x0f); /* je */
	assert_int_equal(vmt_entry_hook_into_stub(&hook, at + 5), at + 5);
	assert_int_equal(vmt_entry_hook_make(&site, UINT64_C(0x10000), 1, 0, pages.stubs, &hook),
			 -ERANGE);
	near_pages_unmap(&pages);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_hooked_function_does_what_it_did),
	    cmocka_unit_test(branches_in_the_beginning_go_where_they_went),
	    cmocka_unit_test(what_is_relative_reaches_the_same_place),
	    cmocka_unit_test(what_can_not_be_hooked_is_told),
	    cmocka_unit_test(what_only_looks_like_a_jump_is_none),
	    cmocka_unit_test(functions_are_judged_together),
	    cmocka_unit_test(a_thread_in_the_cut_can_be_moved),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#else

int
main(void)
{
	return cmocka_run_group_tests(((const struct CMUnitTest[]){{0}}), NULL, NULL);
}

#endif
