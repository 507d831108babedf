/* Code is run as it was and with its system call cut out: all registers, the flags and the memory
 * below the stack pointer must be the same. */
#include "inject/cuts.h"

#include "format/raw_calls.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/near_code.h"

#if defined(__x86_64__)

/* The entry as the recorder has one: makes the call, and comes back with all as the kernel leaves
 * it. It counts in memory, without a flag changed. */
uint64_t test_entered;
uint64_t test_ways;
uint64_t test_bypassed;
void test_entry(void);
void test_entry_that_can_not(void);
__asm__(".pushsection .text\n"
	".globl test_entry\n"
	"test_entry:\n"
	"	mov	%r11, test_ways(%rip)\n"
	"	mov	test_entered(%rip), %rcx\n"
	"	lea	1(%rcx), %rcx\n"
	"	mov	%rcx, test_entered(%rip)\n"
	"	syscall\n"
	"	mov	test_ways(%rip), %rcx\n"
	"	mov	(%rcx), %rcx\n"
	"	jmp	*%rcx\n"
	".globl test_entry_that_can_not\n"
	"test_entry_that_can_not:\n"
	"	mov	test_bypassed(%rip), %rcx\n"
	"	lea	1(%rcx), %rcx\n"
	"	mov	%rcx, test_bypassed(%rip)\n"
	"	jmp	*8(%r11)\n"
	".popsection\n");

static const uint16_t numbers[] = {3,	SYS_getpid,  9,	  10,  11,  12,	 25,  28,  30,	67,  77,
				   109, SYS_getppid, 149, 150, 151, 152, 216, 317, 325, 440, 453};
static const struct vmt_wanted_calls wanted = {.numbers = numbers,
					       .count = sizeof(numbers) / sizeof(numbers[0])};

struct outcome {
	struct near_registers registers;
	uint8_t below[128];
};

static struct outcome
run(const uint8_t *code, const struct near_registers *before)
{
	struct outcome outcome;

	outcome.registers = *before;
	near_run(code, &outcome.registers, outcome.below);
	return outcome;
}

static struct vmt_syscall_site
find_site(const uint8_t *code, size_t length)
{
	struct vmt_code_segment segment = {(uint64_t)code, length, code, true};
	struct vmt_code_map map = {0};
	struct vmt_buffer found = {0};
	struct vmt_syscall_site site;
	size_t count;

	assert_int_equal(vmt_code_map_add_segment(&map, &segment), 0);
	assert_int_equal(vmt_code_map_add_function(&map, (uint64_t)code, (uint64_t)code + length),
			 0);
	vmt_code_map_settle(&map);
	assert_int_equal(vmt_syscall_sites_find(&map, &wanted, &found, &count), 0);
	assert_int_equal(count, 1);
	memcpy(&site, found.bytes, sizeof(site));
	vmt_buffer_free(&found);
	vmt_code_map_close(&map);
	return site;
}

/* By a jump in between, at the end of the code's page, where `far`. */
static struct vmt_cut
cut_out(struct near_pages *pages, const struct vmt_syscall_site *site, void (*entry)(void),
	bool far)
{
	uint8_t *end = pages->code + pages->bytes - VMT_CUTS_VENEER_BYTES;
	struct vmt_cut_veneers veneers = {(uint64_t)end, VMT_CUTS_VENEER_BYTES, end, 0};
	struct vmt_cuts_place place = {(uint64_t)pages->stubs, (uint64_t)entry,
				       far ? &veneers : NULL};
	struct vmt_cut cut;

	assert_int_equal(site->verdict, VMT_SITE_CUT);
	assert_true(vmt_cuts_stub_bytes(site, 1) <= pages->bytes);
	assert_int_equal(vmt_cuts_make(site, 1, &wanted, &place, pages->stubs, &cut), 1);
	assert_true(cut.veneer == (far ? (uint64_t)end : 0));
	assert_int_equal(cut.length, site->cut_bytes);
	assert_memory_equal((const void *)cut.address, cut.old_bytes, cut.length);
	memcpy((void *)cut.address, cut.new_bytes, cut.length);
	return cut;
}

static void
check_same(const struct outcome *found, const struct outcome *expected)
{
	assert_memory_equal(&found->registers, &expected->registers, sizeof(found->registers));
	assert_memory_equal(found->below, expected->below, sizeof(found->below));
}

/* `enters`: whether the call is one that is wanted, with registers as they are before. */
static void
check_code_with(const uint8_t *code, size_t length, const struct near_registers *before,
		bool enters, bool far)
{
	struct near_pages pages = near_pages_map();
	struct outcome expected;
	struct outcome found;
	struct vmt_syscall_site site;
	struct vmt_cut cut;
	uint64_t entered = test_entered;
	uint64_t bypassed = test_bypassed;

	memcpy(pages.code, code, length);
	expected = run(pages.code, before);
	site = find_site(pages.code, length);
	cut = cut_out(&pages, &site, test_entry, far);
	found = run(pages.code, before);
	check_same(&found, &expected);
	assert_int_equal(test_entered, entered + enters);
	if (enters)
		assert_true(test_ways % 8 == 0 && test_ways - cut.stub < cut.stub_bytes);
	/* Where the entry can't work, the text's own syscall makes the call. */
	memcpy((void *)cut.address, cut.old_bytes, cut.length);
	cut = cut_out(&pages, &site, test_entry_that_can_not, far);
	found = run(pages.code, before);
	check_same(&found, &expected);
	assert_int_equal(test_bypassed, bypassed + enters);
	/* And what was cut comes back. */
	memcpy((void *)cut.address, cut.old_bytes, cut.length);
	assert_memory_equal(pages.code, code, length);
	near_pages_unmap(&pages);
}

static void
check_code(const uint8_t *code, size_t length, const struct near_registers *before, bool enters)
{
	check_code_with(code, length, before, enters, false);
	check_code_with(code, length, before, enters, true);
}

#define CHECK(before, enters, ...)                                                                 \
	check_code((const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}), before, \
		   enters)

#define GETPID 0xb8, SYS_getpid, 0, 0, 0
#define SYSCALL 0x0f, 0x05
#define RET 0xc3

/* Every register and every flag that a program may set has a value of its own. */
static struct near_registers
some_registers(uint64_t flags)
{
	struct near_registers registers = {.flags = flags};

	for (size_t i = 0; i < sizeof(registers.words) / sizeof(registers.words[0]); i++)
		registers.words[i] = 0x1111111111111111 * (i + 1);
	return registers;
}

static const uint64_t all_flags[] = {0x202, 0xed7, 0x203, 0x242, 0xa82};

static void
a_known_number_is_the_same_call(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(all_flags) / sizeof(all_flags[0]); i++) {
		struct near_registers before = some_registers(all_flags[i]);

		CHECK(&before, true, GETPID, SYSCALL, RET);
		CHECK(&before, true, 0x48, 0xc7, 0xc0, SYS_getpid, 0, 0, 0, SYSCALL, RET);
		/* with xor %edi,%edi, which changes flags; with mov %rcx,%r10 */
		CHECK(&before, true, GETPID, 0x31, 0xff, SYSCALL, RET);
		CHECK(&before, true, GETPID, 0x49, 0x89, 0xca, SYSCALL, RET);
		/* with what is far behind the number */
		CHECK(&before, true, GETPID, 0x48, 0xf7, 0xd2, 0x48, 0x87, 0xd6, SYSCALL, RET);
	}
}

static void
any_number_goes_where_it_belongs(void **state)
{
	static const uint16_t unwanted[] = {SYS_getuid, SYS_gettid, SYS_sched_yield, 108, 500,
					    0xffff,	1000};

	(void)state;
	for (size_t i = 0; i < sizeof(all_flags) / sizeof(all_flags[0]); i++) {
		struct near_registers before = some_registers(all_flags[i]);

		/* mov %rdi,%rax; mov 8(%rsp),%r9: as in syscall() */
		before.words[NEAR_RDI] = SYS_getpid;
		CHECK(&before, true, 0x48, 0x89, 0xf8, 0x4c, 0x8b, 0x4c, 0x24, 0x08, SYSCALL, RET);
		before.words[NEAR_RDI] = SYS_getppid | UINT64_C(0xabcd) << 32;
		CHECK(&before, true, 0x48, 0x89, 0xf8, 0x4c, 0x8b, 0x4c, 0x24, 0x08, SYSCALL, RET);
		for (size_t k = 0; k < sizeof(unwanted) / sizeof(unwanted[0]); k++) {
			before.words[NEAR_RDI] = unwanted[k];
			CHECK(&before, false, 0x48, 0x89, 0xf8, 0x4c, 0x8b, 0x4c, 0x24, 0x08,
			      SYSCALL, RET);
		}
		/* A number with more bits is no call that is wanted. */
		before.words[NEAR_RDI] = 0x10000 | SYS_getpid;
		CHECK(&before, false, 0x48, 0x89, 0xf8, 0x4c, 0x8b, 0x4c, 0x24, 0x08, SYSCALL, RET);
	}
}

/* Each number of the list is seen, whichever side of the stub's choice tests it: the calls are
 * made with arguments that all of them refuse. */
static void
each_wanted_number_is_seen(void **state)
{
	(void)state;
	for (size_t i = 0; i < wanted.count; i++) {
		struct near_registers before = some_registers(0x202);

		if (wanted.numbers[i] == 152 || wanted.numbers[i] == 12)
			continue; /* these take any arguments */
		before.words[NEAR_RDI] = wanted.numbers[i];
		/* mov %rdi,%rax; xor %edi,%edi; dec %rdi: no descriptor, no address */
		CHECK(&before, true, 0x48, 0x89, 0xf8, 0x31, 0xff, 0x48, 0xff, 0xcf, SYSCALL, RET);
	}
}

static void
what_is_relative_reaches_the_same_place(void **state)
{
	struct near_registers before = some_registers(0xed7);

	(void)state;
	/* mov 3(%rip),%eax; syscall; ret; the number */
	CHECK(&before, true, 0x8b, 0x05, 0x03, 0, 0, 0, SYSCALL, RET, SYS_getppid, 0, 0, 0, 0);
	/* cmpl $110,3(%rip), with a number behind the distance; then lea of itself */
	CHECK(&before, true, GETPID, 0x83, 0x3d, 0x03, 0, 0, 0, SYS_getppid, SYSCALL, RET,
	      SYS_getppid, 0, 0, 0, 0);
	CHECK(&before, true, GETPID, 0x48, 0x8d, 0x1d, 0xf9, 0xff, 0xff, 0xff, SYSCALL, RET);
}

static void
what_lies_below_the_stack_pointer_stays(void **state)
{
	struct near_registers before = some_registers(0x246);

	(void)state;
	/* mov %rdi,-16(%rsp); mov %rbx,-120(%rsp); the call; mov -16(%rsp),%rsi */
	CHECK(&before, true, 0x48, 0x89, 0x7c, 0x24, 0xf0, 0x48, 0x89, 0x5c, 0x24, 0x88, GETPID,
	      SYSCALL, 0x48, 0x8b, 0x74, 0x24, 0xf0, RET);
	CHECK(&before, true, GETPID, 0x48, 0x89, 0x5c, 0x24, 0x88, SYSCALL, 0x48, 0x8b, 0x74, 0x24,
	      0x88, RET);
	/* push and pop, which the stub runs */
	CHECK(&before, true, GETPID, 0x53, 0x41, 0x54, 0x53, 0x56, SYSCALL, 0x41, 0x5d, 0x41, 0x5e,
	      0x58, 0x58, RET);
}

static void
a_thread_in_a_cut_can_be_moved(void **state)
{
	/* getpid; xor %edi,%edi; mov %rcx,%r10 */
	static const uint8_t code[] = {GETPID, 0x31, 0xff, 0x49, 0x89, 0xca, SYSCALL, RET};
	struct near_pages pages = near_pages_map();
	struct vmt_syscall_site site;
	struct vmt_cut cut;
	uint64_t at;

	(void)state;
	memcpy(pages.code, code, sizeof(code));
	at = (uint64_t)pages.code;
	site = find_site(pages.code, sizeof(code));
	cut = cut_out(&pages, &site, test_entry, false);
	assert_int_equal(site.cut_bytes, 5);
	assert_int_equal(cut.address, at + 5);
	assert_int_equal(vmt_cuts_into_stub(&cut, at + 4), at + 4);
	assert_int_equal(vmt_cuts_into_stub(&cut, at + 5), at + 5); /* runs the jump */
	assert_int_equal(vmt_cuts_into_stub(&cut, at + 7), cut.stub + 2);
	assert_int_equal(vmt_cuts_into_stub(&cut, at + 10), at + 10); /* the syscall */
	assert_memory_equal((const void *)(cut.stub + 2), code + 7, 3);
	assert_int_equal(vmt_cuts_out_of_stub(&cut, cut.stub), at + 5);
	assert_int_equal(vmt_cuts_out_of_stub(&cut, cut.stub + 2), at + 7);
	assert_int_equal(vmt_cuts_out_of_stub(&cut, cut.stub + 5), at + 10);
	assert_int_equal(vmt_cuts_out_of_stub(&cut, cut.stub + cut.stub_bytes - 1), at + 10);
	assert_int_equal(vmt_cuts_out_of_stub(&cut, cut.stub + cut.stub_bytes),
			 cut.stub + cut.stub_bytes);
	assert_int_equal(vmt_cuts_out_of_stub(&cut, cut.stub - 1), cut.stub - 1);
	near_pages_unmap(&pages);
}

/* The entry, which hears of a birth: comes back as the recorder does, or by the bypass. */
uint64_t test_birth;
void test_birth_entry(void);
__asm__(".pushsection .text\n"
	".globl test_birth_entry\n"
	"test_birth_entry:\n"
	"	mov	%rax, test_birth(%rip)\n"
	"	jmp	*8(%r11)\n"
	".popsection\n");

/* fork: both come out behind the syscall, with all registers as they were and 0 in the child. */
static void
check_birth(bool far)
{
	static const uint8_t code[] = {0xb8, SYS_fork, 0, 0, 0, SYSCALL, RET};
	static const uint16_t births[] = {SYS_clone, SYS_fork};
	const struct vmt_wanted_calls both = {.births = births, .births_count = 2};
	struct near_pages pages = near_pages_map();
	uint8_t *end = pages.code + pages.bytes - VMT_CUTS_VENEER_BYTES;
	struct vmt_cut_veneers veneers = {(uint64_t)end, VMT_CUTS_VENEER_BYTES, end, 0};
	struct vmt_cuts_place place = {(uint64_t)pages.stubs, (uint64_t)test_birth_entry,
				       far ? &veneers : NULL};
	struct near_registers before = some_registers(0x202);
	struct vmt_syscall_site site = {.address = (uint64_t)pages.code,
					.syscall = (uint64_t)pages.code + 5,
					.exit = (uint64_t)pages.code + 7,
					.number = SYS_fork,
					.cut_bytes = 5};
	struct outcome outcome;
	struct vmt_cut cut;
	int status = 1;

	memcpy(pages.code, code, sizeof(code));
	memcpy(site.original, code, 5);
	assert_int_equal(vmt_cuts_make(&site, 1, &both, &place, pages.stubs, &cut), 1);
	memcpy((void *)cut.address, cut.new_bytes, cut.length);
	test_birth = 0;
	outcome = run(pages.code, &before);
	if (outcome.registers.words[NEAR_RAX] == 0)
		_exit(test_birth == 0 && outcome.registers.words[NEAR_RDX] == before.words[NEAR_RDX]
			  ? 0
			  : 1);
	assert_int_equal(test_birth, VMT_BIRTH_TAG | 1 << VMT_BIRTH_KIND_SHIFT |
					 outcome.registers.words[NEAR_RAX]);
	assert_int_equal(waitpid((pid_t)outcome.registers.words[NEAR_RAX], &status, 0),
			 outcome.registers.words[NEAR_RAX]);
	assert_int_equal(status, 0);
	assert_int_equal(outcome.registers.words[NEAR_RDX], before.words[NEAR_RDX]);
	assert_int_equal(outcome.registers.words[NEAR_RBX], before.words[NEAR_RBX]);
	near_pages_unmap(&pages);
}

/* The entry, which hears of an exec: of what each call told it, and how it comes back. */
uint64_t test_told[2];
uint64_t test_tells;
uint64_t test_told_way; /* 0: by the exit, with `test_told_result`; 8: by the bypass */
uint64_t test_told_result;
uint64_t test_told_exit;
void test_exec_entry(void);
__asm__(".pushsection .text\n"
	".globl test_exec_entry\n"
	"test_exec_entry:\n"
	"	mov	test_tells(%rip), %rcx\n"
	"	push	%rdx\n"
	"	lea	test_told(%rip), %rdx\n"
	"	mov	%rax, (%rdx,%rcx,8)\n"
	"	pop	%rdx\n"
	"	incq	test_tells(%rip)\n"
	"	cmp	$1, %rcx\n"
	"	je	1f\n"
	"	mov	(%r11), %rcx\n"
	"	mov	-8(%rcx), %rcx\n"
	"	mov	%rcx, test_told_exit(%rip)\n"
	"1:	mov	test_told_result(%rip), %rcx\n"
	"	cmpq	$0, test_told_way(%rip)\n"
	"	cmove	%rcx, %rax\n"
	"	add	test_told_way(%rip), %r11\n"
	"	jmp	*(%r11)\n"
	".popsection\n");

/* An exec that fails: told before and after, made with all registers as they were. */
static void
check_exec(uint16_t number, uint64_t way)
{
	const uint8_t code[] = {0xb8, (uint8_t)number, (uint8_t)(number >> 8), 0, 0, SYSCALL, RET};
	static const uint16_t execs[] = {SYS_execve, SYS_execveat};
	const struct vmt_wanted_calls both = {.execs = execs, .execs_count = 2};
	uint64_t tag = VMT_EXEC_TAG | (number == SYS_execveat ? VMT_EXEC_AT : 0);
	struct near_pages pages = near_pages_map();
	struct vmt_cuts_place place = {(uint64_t)pages.stubs, (uint64_t)test_exec_entry, NULL};
	struct near_registers before = some_registers(0x202);
	struct vmt_syscall_site site = {.address = (uint64_t)pages.code,
					.syscall = (uint64_t)pages.code + 5,
					.exit = (uint64_t)pages.code + 7,
					.number = number,
					.cut_bytes = 5};
	struct outcome outcome;
	struct vmt_cut cut;

	memcpy(pages.code, code, sizeof(code));
	memcpy(site.original, code, 5);
	assert_int_equal(vmt_cuts_make(&site, 1, &both, &place, pages.stubs, &cut), 1);
	memcpy((void *)cut.address, cut.new_bytes, cut.length);
	before.words[NEAR_RDI] = before.words[NEAR_RSI] = 8; /* no path */
	test_tells = 0;
	test_told_way = way;
	test_told_result = (uint64_t)-77;
	outcome = run(pages.code, &before);
	assert_int_equal(test_tells, 2);
	assert_int_equal(test_told[0], tag);
	assert_int_equal(test_told[1], tag | VMT_EXEC_FAILED | EFAULT);
	assert_int_equal(test_told_exit, site.exit);
	assert_int_equal(outcome.registers.words[NEAR_RAX],
			 way == 0 ? (uint64_t)-77 : (uint64_t)-EFAULT);
	assert_int_equal(outcome.registers.words[NEAR_RDX], before.words[NEAR_RDX]);
	assert_int_equal(outcome.registers.words[NEAR_RBX], before.words[NEAR_RBX]);
	near_pages_unmap(&pages);
}

static void
an_exec_that_fails_is_told_before_and_after(void **state)
{
	(void)state;
	check_exec(SYS_execve, 0);
	check_exec(SYS_execve, 8);
	check_exec(SYS_execveat, 0);
}

static void
what_returns_twice_is_told_of_in_the_parent(void **state)
{
	(void)state;
	check_birth(false);
	check_birth(true);
}

static void
several_sites_share_the_stubs_page(void **state)
{
	struct vmt_syscall_site sites[3] = {
	    {.address = 0x401000,
	     .syscall = 0x401005,
	     .exit = 0x401007,
	     .number = 9,
	     .cut_bytes = 5,
	     .original = {0xb8, 9}},
	    {.verdict = VMT_SITE_NO_ROOM},
	    {.address = 0x402000,
	     .syscall = 0x402005,
	     .exit = 0x402007,
	     .number = VMT_SITE_ANY_NUMBER,
	     .cut_bytes = 5,
	     .original = {0x4c, 0x8b, 0x4c, 0x24, 8}},
	};
	static _Alignas(16) uint8_t stubs[4096];
	struct vmt_cut cuts[3];
	struct vmt_cuts_place place = {0x500000, 1, NULL};
	struct vmt_cuts_place too_far = {UINT64_C(1) << 33, 1, NULL};

	(void)state;
	assert_true(vmt_cuts_stub_bytes(sites, 3) == 2 * VMT_CUTS_STUB_BYTES);
	assert_int_equal(vmt_cuts_make(sites, 3, &wanted, &place, stubs, cuts), 2);
	assert_int_equal(cuts[0].stub, 0x500000);
	assert_true(cuts[1].stub >= cuts[0].stub + cuts[0].stub_bytes && cuts[1].stub % 16 == 0);
	assert_int_equal(cuts[1].address, 0x402000);
	/* The jump's bytes. */
	assert_memory_equal(cuts[0].new_bytes, "\xe9\xfb\xef\x0f\x00", 5);
	/* Too far from a site, or from what an instruction reaches. */
	assert_int_equal(vmt_cuts_make(sites, 3, &wanted, &too_far, stubs, cuts), -ERANGE);
	sites[0].original[0] = 0x90;
	memcpy(sites[0].original, "\x8b\x05\x00\x00\x00\x80", 6);
	sites[0].cut_bytes = 6;
	assert_int_equal(vmt_cuts_make(sites, 1, &wanted, &place, stubs, cuts), -ERANGE);
}

/* Stubs that the text does not reach, by jumps near it. */
static void
far_stubs_are_reached_by_veneers(void **state)
{
	struct vmt_syscall_site sites[2] = {{.address = 0x401000,
					     .syscall = 0x401005,
					     .exit = 0x401007,
					     .number = 9,
					     .cut_bytes = 5,
					     .original = {0xb8, 9}},
					    {.address = 0x402000,
					     .syscall = 0x402006,
					     .exit = 0x402008,
					     .number = 11,
					     .cut_bytes = 6,
					     .original = {0x31, 0xd2, 0xb0, 11, 0x90, 0x90}}};
	static _Alignas(16) uint8_t stubs[4096];
	uint8_t room[2 * VMT_CUTS_VENEER_BYTES];
	struct vmt_cut_veneers veneers = {0x402800, sizeof(room), room, 0};
	struct vmt_cuts_place place = {UINT64_C(1) << 40, 1, &veneers};
	struct vmt_cut cuts[2];

	(void)state;
	assert_int_equal(vmt_cuts_make(sites, 2, &wanted, &place, stubs, cuts), 2);
	assert_int_equal(veneers.used, sizeof(room));
	assert_true(cuts[0].stub == place.stubs && cuts[1].stub > cuts[0].stub);
	assert_true(cuts[1].veneer == 0x402810);
	assert_memory_equal(cuts[0].new_bytes, "\xe9\xfb\x17\x00\x00", 5);
	assert_memory_equal(cuts[1].new_bytes, "\xe9\x0b\x08\x00\x00\x90", 6);
	assert_memory_equal(room + VMT_CUTS_VENEER_BYTES, "\xff\x25\x00\x00\x00\x00", 6);
	assert_memory_equal(room + VMT_CUTS_VENEER_BYTES + 6, &cuts[1].stub, 8);
	/* A thread that stands before that jump goes back to the text. */
	assert_true(vmt_cuts_out_of_stub(&cuts[1], 0x402810) == 0x402000);
	assert_true(vmt_cuts_out_of_stub(&cuts[1], 0x402800) == 0x402800);
	/* No room for both; an instruction that can't reach what it reads from there. */
	veneers.room--;
	assert_int_equal(vmt_cuts_make(sites, 2, &wanted, &place, stubs, cuts), -ERANGE);
	memcpy(sites[0].original, "\x8b\x05\x00\x00\x00\x00", 6);
	sites[0].cut_bytes = 6;
	assert_int_equal(vmt_cuts_make(sites, 1, &wanted, &place, stubs, cuts), -ERANGE);
	/* lea 0x100(%rip),%r14 is mov $0x401107,%r14 there. */
	memcpy(sites[0].original, "\x4c\x8d\x35\x00\x01\x00\x00", 7);
	sites[0].cut_bytes = 7;
	assert_int_equal(vmt_cuts_make(sites, 1, &wanted, &place, stubs, cuts), 1);
	assert_memory_equal(stubs, "\x49\xc7\xc6\x07\x11\x40\x00", 7);
	/* Not of an address that is too high for it. */
	memcpy(sites[0].original, "\x4c\x8d\x35\xff\xff\xff\x7f", 7);
	assert_int_equal(vmt_cuts_make(sites, 1, &wanted, &place, stubs, cuts), -ERANGE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_known_number_is_the_same_call),
	    cmocka_unit_test(any_number_goes_where_it_belongs),
	    cmocka_unit_test(each_wanted_number_is_seen),
	    cmocka_unit_test(what_is_relative_reaches_the_same_place),
	    cmocka_unit_test(what_lies_below_the_stack_pointer_stays),
	    cmocka_unit_test(a_thread_in_a_cut_can_be_moved),
	    cmocka_unit_test(what_returns_twice_is_told_of_in_the_parent),
	    cmocka_unit_test(an_exec_that_fails_is_told_before_and_after),
	    cmocka_unit_test(several_sites_share_the_stubs_page),
	    cmocka_unit_test(far_stubs_are_reached_by_veneers),
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
