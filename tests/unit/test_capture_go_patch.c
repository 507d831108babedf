/*
 * test_capture_go_patch.c: does a patched function of the Go runtime do what it did, by way of the
 * entry, and is every other one left as it is?
 *
 * The functions are laid into a page of the test's own and called as Go calls them, with arguments
 * and results on the stack or in registers.
 */
#include "capture/go/go_patch.h"

#include "base/sys.h"
#include "format/raw_calls.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#define FUNCTION_BYTES 128

/* Whole functions of Go 1.24. */
static const unsigned char madvise_code[] = {
    0x48, 0x8b, 0x7c, 0x24, 0x08, 0x48, 0x8b, 0x74, 0x24, 0x10, 0x8b, 0x54, 0x24, 0x18,
    0x48, 0xc7, 0xc0, 0x1c, 0x00, 0x00, 0x00, 0x0f, 0x05, 0x89, 0x44, 0x24, 0x20, 0xc3};
static const unsigned char munmap_code[] = {
    0x48, 0x8b, 0x7c, 0x24, 0x08, 0x48, 0x8b, 0x74, 0x24, 0x10, 0x48, 0xc7, 0xc0,
    0x0b, 0x00, 0x00, 0x00, 0x0f, 0x05, 0x48, 0x3d, 0x01, 0xf0, 0xff, 0xff, 0x76,
    0x0b, 0xc7, 0x04, 0x25, 0xf1, 0x00, 0x00, 0x00, 0xf1, 0x00, 0x00, 0x00, 0xc3};
static const unsigned char mmap_code[] = {
    0x48, 0x8b, 0x7c, 0x24, 0x08, 0x48, 0x8b, 0x74, 0x24, 0x10, 0x8b, 0x54, 0x24, 0x18, 0x44, 0x8b,
    0x54, 0x24, 0x1c, 0x44, 0x8b, 0x44, 0x24, 0x20, 0x44, 0x8b, 0x4c, 0x24, 0x24, 0xb8, 0x09, 0x00,
    0x00, 0x00, 0x0f, 0x05, 0x48, 0x3d, 0x01, 0xf0, 0xff, 0xff, 0x76, 0x15, 0x48, 0xf7, 0xd0, 0x48,
    0xff, 0xc0, 0x48, 0xc7, 0x44, 0x24, 0x28, 0x00, 0x00, 0x00, 0x00, 0x48, 0x89, 0x44, 0x24, 0x30,
    0xc3, 0x48, 0x89, 0x44, 0x24, 0x28, 0x48, 0xc7, 0x44, 0x24, 0x30, 0x00, 0x00, 0x00, 0x00, 0xc3};
static const unsigned char exit_code[] = {0x8b, 0x7c, 0x24, 0x08, 0xb8, 0xe7,
					  0x00, 0x00, 0x00, 0x0f, 0x05, 0xc3};
static const unsigned char syscall_code[] = {
    0x49, 0x89, 0xf2, 0x48, 0x89, 0xfa, 0x48, 0x89, 0xce, 0x48, 0x89, 0xdf, 0x0f, 0x05,
    0x48, 0x3d, 0x01, 0xf0, 0xff, 0xff, 0x76, 0x15, 0x48, 0xf7, 0xd8, 0x48, 0x89, 0xc1,
    0x48, 0xc7, 0xc0, 0xff, 0xff, 0xff, 0xff, 0x48, 0xc7, 0xc3, 0x00, 0x00, 0x00, 0x00,
    0xc3, 0x48, 0x89, 0xd3, 0x48, 0xc7, 0xc1, 0x00, 0x00, 0x00, 0x00, 0xc3};

static const struct {
	enum vmt_go_function function;
	const char *name;
	const unsigned char *bytes;
	size_t length;
} functions[] = {
    {VMT_GO_MADVISE, "runtime.madvise", madvise_code, sizeof(madvise_code)},
    {VMT_GO_MMAP, "runtime.sysMmap", mmap_code, sizeof(mmap_code)},
    {VMT_GO_MUNMAP, "runtime.sysMunmap", munmap_code, sizeof(munmap_code)},
    {VMT_GO_EXIT, "runtime.exit", exit_code, sizeof(exit_code)},
    {VMT_GO_SYSCALL, "Syscall6", syscall_code, sizeof(syscall_code)},
};
#define FUNCTIONS (sizeof(functions) / sizeof(functions[0]))

/* What the entry saw, and whether it is to make the call or to say that it can't. */
__attribute__((used)) static uint64_t entered;
__attribute__((used)) static uint64_t entered_packed;
__attribute__((used)) static uint64_t entered_registers[6];
__attribute__((used)) static uint64_t bypasses;
__attribute__((used)) static uint64_t answer;

void test_entry(void);

__asm__(".text\n"
	".globl test_entry\n"
	"test_entry:\n"
	"	incq entered(%rip)\n"
	"	movq %rax, entered_packed(%rip)\n"
	"	movq %rdi, entered_registers(%rip)\n"
	"	movq %rsi, entered_registers+8(%rip)\n"
	"	movq %rdx, entered_registers+16(%rip)\n"
	"	movq %r10, entered_registers+24(%rip)\n"
	"	movq %r8, entered_registers+32(%rip)\n"
	"	movq %r9, entered_registers+40(%rip)\n"
	"	movl %eax, %ecx\n"
	"	shrl $16, %ecx\n"
	"	cmpq $0, bypasses(%rip)\n"
	"	jne 1f\n"
	"	movq answer(%rip), %rax\n"
	"	movq vmt_go_patch_exits@GOTPCREL(%rip), %r11\n"
	"	jmpq *(%r11,%rcx,8)\n"
	"1:	movq vmt_go_patch_bypasses@GOTPCREL(%rip), %r11\n"
	"	jmpq *(%r11,%rcx,8)\n");

#define ROOM_BYTES ((size_t)1 << 30)
#define MAPPING_BYTES ((size_t)3 * 4096)

struct world {
	unsigned char *mapping;
	unsigned char *text; /* its second page */
	struct vmt_go_image image;
	struct vmt_go go;
};

/* Calls an assembly function of Go's older convention: all on the stack, 8 words. */
static void
call_on_stack(const unsigned char *function, uint64_t words[8])
{
	__asm__ volatile("subq $192, %%rsp\n" /* past the red zone */
			 "movq %%rsi, %%r12\n"
			 "movq %%rsp, %%rdi\n"
			 "movl $8, %%ecx\n"
			 "rep movsq\n"
			 "call *%%rbx\n"
			 "movq %%rsp, %%rsi\n"
			 "movq %%r12, %%rdi\n"
			 "movl $8, %%ecx\n"
			 "rep movsq\n"
			 "addq $192, %%rsp\n"
			 :
			 : "b"(function), "S"(words)
			 : "rax", "rcx", "rdx", "rdi", "r8", "r9", "r10", "r11", "r12", "memory",
			   "cc");
}

/* Calls Syscall6: the number and six arguments in registers, three results. */
static uint64_t
call_syscall(const unsigned char *function, uint64_t number, const uint64_t arguments[6],
	     uint64_t *error)
{
	uint64_t result = number;
	register uint64_t r8 __asm__("r8") = arguments[4];
	register uint64_t r9 __asm__("r9") = arguments[5];
	uint64_t b = arguments[0];
	uint64_t c = arguments[1];
	uint64_t rdi = arguments[2];
	uint64_t rsi = arguments[3];

	__asm__ volatile("subq $128, %%rsp\n"
			 "call *%[function]\n"
			 "addq $128, %%rsp\n"
			 : "+a"(result), "+b"(b), "+c"(c), "+D"(rdi), "+S"(rsi)
			 : [function] "r"(function), "r"(r8), "r"(r9)
			 : "rdx", "r10", "r11", "memory", "cc");
	*error = c;
	return result;
}

/* As a program's text: nothing is mapped in the room below it. */
static unsigned char *
map_above_room(void)
{
	unsigned char *room = mmap(NULL, ROOM_BYTES + MAPPING_BYTES, PROT_READ | PROT_WRITE,
				   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	assert_ptr_not_equal(room, MAP_FAILED);
	munmap(room, ROOM_BYTES);
	return room + ROOM_BYTES;
}

static int
begin(void **state)
{
	static struct world world;

	memset(&world, 0, sizeof(world));
	entered = bypasses = answer = 0;
	world.mapping = map_above_room();
	world.text = world.mapping + 4096;
	world.image.text_low = (uint64_t)world.text;
	world.image.text_high = world.image.text_low + 4096;
	for (size_t i = 0; i < FUNCTIONS; i++) {
		unsigned char *at = world.text + i * FUNCTION_BYTES;

		memcpy(at, functions[i].bytes, functions[i].length);
		world.image.code[functions[i].function][0] =
		    (struct vmt_go_code){functions[i].name, (uint64_t)at, FUNCTION_BYTES};
	}
	*state = &world;
	return 0;
}

static int
end(void **state)
{
	struct world *world = *state;

	munmap(world->mapping, MAPPING_BYTES);
	return 0;
}

/* The text becomes a file's, as a program's is. */
static void
patch(struct world *world, const char *refusal)
{
	int file = memfd_create("text", MFD_CLOEXEC);

	assert_int_equal(write(file, world->mapping, MAPPING_BYTES), MAPPING_BYTES);
	assert_ptr_equal(mmap(world->mapping, MAPPING_BYTES, PROT_READ | PROT_EXEC,
			      MAP_PRIVATE | MAP_FIXED, file, 0),
			 world->mapping);
	close(file);
	vmt_go_patch_image(&world->go, &world->image, 0, (const void *)test_entry, refusal);
}

static const unsigned char *
function_at(const struct world *world, enum vmt_go_function function)
{
	for (size_t i = 0; i < FUNCTIONS; i++)
		if (functions[i].function == function)
			return world->text + i * FUNCTION_BYTES;
	return NULL;
}

static void
test_all_known_functions_are_patched(void **state)
{
	struct world *world = *state;

	patch(world, NULL);
	assert_int_equal(world->go.sites_count, FUNCTIONS);
	for (size_t i = 0; i < FUNCTIONS; i++) {
		const struct vmt_go_site *site = &world->go.sites[i];

		assert_string_equal(site->symbol, functions[i].name);
		assert_int_equal(site->patched, 1);
		assert_string_equal(site->why, "");
		/* the syscall instruction itself stays */
		assert_memory_equal((const void *)site->address, "\x0f\x05", 2);
		assert_int_equal(vmt_go_patch_exits[i], site->address + 2);
	}
}

/* Go's profiles have one entry a piece. */
static void
test_the_mapping_of_the_text_stays_in_one_piece(void **state)
{
	struct world *world = *state;
	char wanted[64];
	char line[512];
	bool found = false;
	FILE *maps;

	patch(world, NULL);
	assert_int_equal(world->go.sites[0].patched, 1);
	snprintf(wanted, sizeof(wanted), "%lx-%lx r-xp", (unsigned long)world->mapping,
		 (unsigned long)world->mapping + MAPPING_BYTES);
	maps = fopen("/proc/self/maps", "re");
	assert_non_null(maps);
	while (fgets(line, sizeof(line), maps) != NULL)
		found |= strncmp(line, wanted, strlen(wanted)) == 0;
	fclose(maps);
	assert_true(found);
}

static void
test_the_entry_answers_for_the_kernel(void **state)
{
	struct world *world = *state;
	uint64_t words[8] = {0x1000, 0x2000, 4};

	patch(world, NULL);
	answer = (uint64_t)-22;
	call_on_stack(function_at(world, VMT_GO_MADVISE), words);
	assert_int_equal(entered, 1);
	assert_int_equal(entered_packed, SYS_madvise);
	assert_int_equal(entered_registers[0], 0x1000);
	assert_int_equal(entered_registers[1], 0x2000);
	assert_int_equal(entered_registers[2], 4);
	assert_int_equal((int32_t)words[3], -22);

	answer = 0x7000;
	memcpy(words, (uint64_t[8]){1, 2, 3 | 4ULL << 32, 5 | 6ULL << 32}, sizeof(words));
	call_on_stack(function_at(world, VMT_GO_MMAP), words);
	assert_int_equal(entered, 2);
	assert_int_equal(entered_packed, 1 << VMT_GO_PATCH_SITE_SHIFT | SYS_mmap);
	assert_memory_equal(entered_registers, ((uint64_t[6]){1, 2, 3, 4, 5, 6}), 48);
	assert_int_equal(words[4], 0x7000);
	assert_int_equal(words[5], 0);
}

static void
test_a_bypass_makes_the_call(void **state)
{
	struct world *world = *state;
	void *page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint64_t words[8] = {(uint64_t)page, 4096};
	unsigned char resident;

	patch(world, NULL);
	bypasses = 1;
	call_on_stack(function_at(world, VMT_GO_MUNMAP), words);
	assert_int_equal(entered, 1);
	assert_int_equal(mincore(page, 4096, &resident), -1);

	memcpy(words, (uint64_t[8]){0, 4096, PROT_READ | 34ULL << 32, UINT32_MAX}, sizeof(words));
	call_on_stack(function_at(world, VMT_GO_MMAP), words);
	assert_int_equal(entered, 2);
	assert_int_equal(words[5], 0);
	assert_int_equal(mincore((void *)words[4], 4096, &resident), 0);
	munmap((void *)words[4], 4096);
}

static void
test_only_memory_calls_of_syscall6_come_to_the_entry(void **state)
{
	struct world *world = *state;
	const unsigned char *function = function_at(world, VMT_GO_SYSCALL);
	const uint64_t arguments[6] = {1, 2, 3, 4, 5, 6};
	uint64_t error;

	patch(world, NULL);
	assert_int_equal(call_syscall(function, SYS_getpid, arguments, &error), getpid());
	assert_int_equal(error, 0);
	/* no such call, although its low half is one of those that are wanted */
	assert_int_equal(call_syscall(function, 0x10000 | SYS_munmap, arguments, &error),
			 UINT64_MAX);
	assert_int_equal(error, 38);
	assert_int_equal(entered, 0);

	answer = 99;
	assert_int_equal(call_syscall(function, SYS_mremap, arguments, &error), 99);
	assert_int_equal(entered, 1);
	assert_int_equal(entered_packed, 4 << VMT_GO_PATCH_SITE_SHIFT | SYS_mremap);
	assert_memory_equal(entered_registers, arguments, sizeof(arguments));
	answer = (uint64_t)-12;
	assert_int_equal(call_syscall(function, SYS_brk, arguments, &error), UINT64_MAX);
	assert_int_equal(error, 12);
	bypasses = 1;
	assert_int_equal(call_syscall(function, SYS_munmap, arguments, &error), UINT64_MAX);
	assert_int_equal(error, 22);
	assert_int_equal(entered, 3);
}

/* Made in the stub: what works never comes back. */
static void
test_an_exec_is_told_before_and_once_it_has_failed(void **state)
{
	struct world *world = *state;
	const unsigned char *function = function_at(world, VMT_GO_SYSCALL);
	const uint64_t arguments[6] = {8, 8, 8, 4, 5, 6}; /* no path */
	const uint64_t exit = (uint64_t)function + 14;
	uint64_t told = VMT_GO_SITES + 4;
	uint64_t failed = 2 * VMT_GO_SITES + 4;
	uint64_t error, after_told;

	patch(world, NULL);
	answer = (uint64_t)-77;
	assert_int_equal(call_syscall(function, SYS_execve, arguments, &error), UINT64_MAX);
	assert_int_equal(error, 77);
	assert_int_equal(entered, 2);
	assert_int_equal(entered_packed, failed << VMT_GO_PATCH_SITE_SHIFT | VMT_EXEC_TAG |
					     VMT_EXEC_FAILED | EFAULT);
	assert_memory_equal(entered_registers, arguments, sizeof(arguments));
	assert_int_equal(vmt_go_patch_exits[failed], exit);
	memcpy(&after_told, (const char *)vmt_go_patch_exits[told] - sizeof(after_told),
	       sizeof(after_told));
	assert_int_equal(after_told, exit);
	bypasses = 1;
	assert_int_equal(call_syscall(function, SYS_execve, arguments, &error), UINT64_MAX);
	assert_int_equal(error, EFAULT);
	assert_int_equal(entered, 4);
}

static void
test_other_instructions_are_left_alone(void **state)
{
	struct world *world = *state;
	unsigned char copy[4096];

	for (size_t i = 0; i < FUNCTIONS; i++)
		world->text[i * FUNCTION_BYTES + functions[i].length / 4] ^= 1;
	memcpy(copy, world->text, sizeof(copy));
	patch(world, NULL);
	assert_memory_equal(world->text, copy, sizeof(copy));
	assert_int_equal(world->go.sites_count, FUNCTIONS);
	for (size_t i = 0; i < FUNCTIONS; i++) {
		assert_int_equal(world->go.sites[i].patched, 0);
		assert_string_equal(world->go.sites[i].why, "unknown instructions");
	}
}

static void
test_a_wrapper_of_the_same_name_is_passed_over(void **state)
{
	struct world *world = *state;
	struct vmt_go_code *codes = world->image.code[VMT_GO_MADVISE];

	codes[1] = codes[0];
	codes[0].address = (uint64_t)world->text + 2048;
	patch(world, NULL);
	assert_int_equal(world->go.sites[0].patched, 1);
	assert_int_equal(world->go.sites[0].address, codes[1].address + 21);
}

static void
test_a_refusal_leaves_all_as_it_is(void **state)
{
	struct world *world = *state;
	unsigned char copy[4096];

	memcpy(copy, world->text, sizeof(copy));
	patch(world, "not today");
	assert_memory_equal(world->text, copy, sizeof(copy));
	assert_int_equal(world->go.sites_count, FUNCTIONS);
	for (size_t i = 0; i < FUNCTIONS; i++) {
		assert_int_equal(world->go.sites[i].patched, 0);
		assert_string_equal(world->go.sites[i].why, "not today");
	}
}

static void
test_what_is_not_there_is_said(void **state)
{
	struct world *world = *state;

	memset(world->image.code, 0, sizeof(world->image.code));
	patch(world, NULL);
	assert_int_equal(world->go.sites_count, 2);
	assert_string_equal(world->go.sites[0].symbol, "runtime.madvise");
	assert_string_equal(world->go.sites[0].why, "not found");
	assert_string_equal(world->go.sites[1].symbol, "Syscall6");
}

static void
test_a_full_table_ends_patching(void **state)
{
	struct world *world = *state;

	world->go.sites_count = VMT_GO_SITES - 2;
	patch(world, NULL);
	assert_int_equal(world->go.sites_count, VMT_GO_SITES);
	assert_int_equal(world->go.sites[VMT_GO_SITES - 1].patched, 1);
	assert_memory_equal(function_at(world, VMT_GO_EXIT), exit_code, sizeof(exit_code));
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
	static const struct CMUnitTest tests[] = {
	    TEST(test_all_known_functions_are_patched),
	    TEST(test_the_mapping_of_the_text_stays_in_one_piece),
	    TEST(test_the_entry_answers_for_the_kernel),
	    TEST(test_a_bypass_makes_the_call),
	    TEST(test_an_exec_is_told_before_and_once_it_has_failed),
	    TEST(test_only_memory_calls_of_syscall6_come_to_the_entry),
	    TEST(test_other_instructions_are_left_alone),
	    TEST(test_a_wrapper_of_the_same_name_is_passed_over),
	    TEST(test_a_refusal_leaves_all_as_it_is),
	    TEST(test_what_is_not_there_is_said),
	    TEST(test_a_full_table_ends_patching),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
