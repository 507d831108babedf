/* Small pieces of code by hand, and the C library of this machine against objdump. */
#include "inject/syscall_sites.h"

#include "format/go_forms.h"
#include "inject/file_functions.h"

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
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/soak.h"

#define CODE UINT64_C(0x7f0000001000)
#define DATA UINT64_C(0x7f0000100000)
#define LOW_CODE UINT64_C(0x401000)

#define MMAP 0xb8, 9, 0, 0, 0 /* mov $9,%eax */
#define READ 0xb8, 0, 0, 0, 0
#define SYSCALL 0x0f, 0x05
#define RET 0xc3
#define NOP3 0x0f, 0x1f, 0x00
#define MOVE 0x49, 0x89, 0xca /* mov %rcx,%r10 */

static const uint16_t numbers[] = {9, 11, 28, 231};
static const struct vmt_wanted_calls wanted = {.numbers = numbers, .count = 4};

/* The sites of a piece of code, which is one function unless bounds are not known. */
struct piece {
	const uint8_t *code;
	size_t length;
	const void *data;
	size_t data_bytes;
	uint64_t address;
	uint64_t start; /* where its function is said to begin */
	bool is_gap;
	uint64_t table; /* that holds no addresses: in the data, and how many bytes; 0: none */
	uint64_t table_bytes;
};

static size_t
find(const struct piece *piece, struct vmt_syscall_site sites[4])
{
	uint64_t address = piece->address ? piece->address : CODE;
	struct vmt_code_segment code = {address, piece->length, piece->code, true};
	struct vmt_code_segment data = {DATA, piece->data_bytes, piece->data, false};
	struct vmt_code_map map = {0};
	struct vmt_buffer found = {0};
	size_t count;

	assert_int_equal(vmt_code_map_add_segment(&map, &code), 0);
	if (piece->data)
		assert_int_equal(vmt_code_map_add_segment(&map, &data), 0);
	if (!piece->is_gap)
		assert_int_equal(vmt_code_map_add_function(&map, address + piece->start,
							   address + piece->length),
				 0);
	vmt_code_map_settle(&map);
	map.table = DATA + piece->table;
	map.table_bytes = piece->table_bytes;
	assert_int_equal(vmt_syscall_sites_find(&map, &wanted, &found, &count), 0);
	assert_true(count <= 4);
	if (count > 0)
		memcpy(sites, found.bytes, count * sizeof(*sites));
	vmt_buffer_free(&found);
	vmt_code_map_close(&map);
	return count;
}

/* The only site of it. */
static struct vmt_syscall_site
find_one(const struct piece *piece)
{
	struct vmt_syscall_site sites[4];

	assert_int_equal(find(piece, sites), 1);
	return sites[0];
}

#define PIECE(...)                                                                                 \
	(&(const struct piece){.code = (const uint8_t[]){__VA_ARGS__},                             \
			       .length = sizeof((const uint8_t[]){__VA_ARGS__})})

static void
check_cut(const struct piece *piece, uint64_t at, uint8_t bytes, uint16_t number)
{
	struct vmt_syscall_site site = find_one(piece);

	assert_int_equal(site.verdict, VMT_SITE_CUT);
	assert_int_equal(site.address, CODE + at);
	assert_int_equal(site.cut_bytes, bytes);
	assert_int_equal(site.number, number);
	assert_int_equal(site.syscall, CODE + at + bytes);
	assert_int_equal(site.exit, site.syscall + 2);
	assert_memory_equal(site.original, piece->code + at, bytes);
}

static void
check_refused(const struct piece *piece, enum vmt_site_verdict verdict)
{
	struct vmt_syscall_site site = find_one(piece);

	assert_int_equal(site.verdict, verdict);
	assert_int_equal(site.cut_bytes, 0);
	assert_true(strlen(vmt_syscall_sites_why(verdict)) > 0);
}

static size_t
count_of(const struct piece *piece)
{
	struct vmt_syscall_site sites[4];

	return find(piece, sites);
}

static void
the_cut_is_what_stands_before_the_syscall(void **state)
{
	(void)state;
	check_cut(PIECE(0xf3, 0x0f, 0x1e, 0xfa, MMAP, SYSCALL, RET), 4, 5, 9);
	check_cut(PIECE(NOP3, 0x48, 0xc7, 0xc0, 9, 0, 0, 0, SYSCALL, RET), 3, 7, 9);
	/* The number, then what is shorter than a jump. */
	check_cut(PIECE(MMAP, MOVE, SYSCALL, RET), 0, 8, 9);
	/* The number further away, and a branch in between that may be taken. */
	check_cut(PIECE(MMAP, 0x85, 0xff, 0x74, 9, MOVE, 0x48, 0x89, 0xf2, SYSCALL, RET, RET, RET),
		  9, 6, 9);
	/* mov %rdi,%rax; mov 8(%rsp),%r9, as in syscall(): any call. */
	check_cut(PIECE(0x48, 0x89, 0xf8, 0x4c, 0x8b, 0x4c, 0x24, 0x08, SYSCALL, RET), 3, 5,
		  VMT_SITE_ANY_NUMBER);
}

static void
the_number_is_what_eax_was_set_to_last(void **state)
{
	(void)state;
	assert_int_equal(count_of(PIECE(READ, SYSCALL, RET)), 0);
	assert_int_equal(count_of(PIECE(MMAP, 0x31, 0xc0, MOVE, SYSCALL, RET)), 0);
	assert_int_equal(count_of(PIECE(MMAP, READ, SYSCALL, RET)), 0);
	check_cut(PIECE(READ, MMAP, SYSCALL, RET), 5, 5, 9);
	/* 41 b8: r8d. What eax is nobody says. */
	check_cut(PIECE(0x41, 0xb8, 9, 0, 0, 0, SYSCALL, RET), 0, 6, VMT_SITE_ANY_NUMBER);
	check_cut(PIECE(MMAP, 0x44, 0x89, 0xc0, MOVE, SYSCALL, RET), 5, 6, VMT_SITE_ANY_NUMBER);
	/* or %edi,%eax; mov $1,%al; mov $1,%ah; pop %rax; cmove %ecx,%eax; xchg %r8,%rax */
	check_cut(PIECE(MMAP, 0x09, 0xf8, MOVE, SYSCALL), 5, 5, VMT_SITE_ANY_NUMBER);
	check_cut(PIECE(MMAP, 0xb0, 0x01, MOVE, SYSCALL), 5, 5, VMT_SITE_ANY_NUMBER);
	check_cut(PIECE(MMAP, 0xb4, 0x01, MOVE, SYSCALL), 5, 5, VMT_SITE_ANY_NUMBER);
	check_cut(PIECE(MMAP, 0x58, MOVE, MOVE, SYSCALL), 6, 6, VMT_SITE_ANY_NUMBER);
	check_cut(PIECE(MMAP, 0x0f, 0x44, 0xc1, MOVE, SYSCALL), 5, 6, VMT_SITE_ANY_NUMBER);
	check_cut(PIECE(MMAP, 0x49, 0x90, MOVE, SYSCALL), 5, 5, VMT_SITE_ANY_NUMBER);
	/* A compare, a store, a push, a move to another register leave it alone. */
	check_cut(PIECE(MMAP, 0x3d, 1, 0, 0, 0, SYSCALL), 5, 5, 9);
	check_cut(PIECE(MMAP, 0x48, 0x89, 0x44, 0x24, 0x08, SYSCALL), 5, 5, 9);
	check_cut(PIECE(MMAP, 0x50, 0x41, 0x54, 0x31, 0xf6, SYSCALL), 5, 5, 9);
	check_cut(PIECE(MMAP, 0x48, 0x83, 0xec, 0x08, 0x53, SYSCALL), 5, 5, 9);
}

/* As glibc's tables of frames have it for what a signal's handler returns to: mov $15,%rax;
 * syscall. */
static void
a_function_that_begins_elsewhere_is_not_cut(void **state)
{
	static const uint8_t code[] = {0x66, 0x2e, 0x0f, 0x1f, 0x84, 0, 0, 0,	    0,	0,
				       0x66, 0x2e, 0x0f, 0x1f, 0x84, 0, 0, 0,	    0,	0,
				       0x48, 0xc7, 0xc0, 0x0f, 0,    0, 0, SYSCALL, RET};
	struct piece piece = {.code = code, .length = sizeof(code), .start = 19};

	(void)state;
	check_refused(&piece, VMT_SITE_UNKNOWN_CODE);
	piece.start = 20;
	assert_int_equal(count_of(&piece), 0);
	piece.is_gap = true;
	assert_int_equal(count_of(&piece), 0);
}

/* The end of a process in glibc, whose number is set before a jump: that is cut. */
static void
the_end_of_a_process_is_cut_before_a_jump(void **state)
{
#define EDX_IS(number) 0xba, number, 0, 0, 0 /* mov $number,%edx */
#define EAX_IS_EDX 0x89, 0xd0
	static const uint8_t of_2_36[] = {
	    0xbe, 231,	0,    0,    0,	  EDX_IS(9), 0xeb, 12,	 0xf4, EAX_IS_EDX, SYSCALL,
	    0x48, 0x3d, 0x00, 0xf0, 0xff, 0xff,	     0xf4, 0x89, 0xf0, SYSCALL,	   RET};
	const struct piece whole = {.code = of_2_36, .length = sizeof(of_2_36)};
	const struct piece *piece =
	    PIECE(EDX_IS(231), 0xeb, 3, 0x66, 0x90, 0xf4, EAX_IS_EDX, SYSCALL, RET);
	struct vmt_syscall_site sites[4];
	struct vmt_syscall_site site = find_one(piece);

	(void)state;
	assert_int_equal(site.verdict, VMT_SITE_CUT);
	assert_int_equal(site.number, 231);
	assert_int_equal(site.address, CODE);
	assert_int_equal(site.cut_bytes, 5);
	assert_int_equal(site.syscall, CODE + 12);
	assert_memory_equal(site.original, piece->code, 5);
	/* By their addresses, though the second syscall's cut comes first. */
	assert_int_equal(find(&whole, sites), 2);
	assert_int_equal(sites[0].verdict, VMT_SITE_CUT);
	assert_int_equal(sites[0].number, 231);
	assert_int_equal(sites[0].address, CODE + 5);
	assert_int_equal(sites[0].cut_bytes, 5);
	assert_int_equal(sites[0].syscall, CODE + 26);
	assert_int_equal(sites[1].syscall, CODE + 15);
	assert_int_equal(sites[1].number, 9);
	/* Another call; a jump to the jump; what jumps does not set the number. */
	check_refused(PIECE(EDX_IS(9), 0xeb, 3, 0x66, 0x90, 0xf4, EAX_IS_EDX, SYSCALL, RET),
		      VMT_SITE_NO_ROOM);
	check_refused(PIECE(EDX_IS(231), 0xeb, 3, 0x74, 0xfc, 0xf4, EAX_IS_EDX, SYSCALL, RET),
		      VMT_SITE_JUMPED_TO);
	check_refused(
	    PIECE(0xbe, 231, 0, 0, 0, 0xeb, 3, 0x66, 0x90, 0xf4, EAX_IS_EDX, SYSCALL, RET),
	    VMT_SITE_NO_ROOM);
}

/* It may come from a register that a call leaves alone, set once before a loop. */
static void
the_number_may_come_from_a_register(void **state)
{
	(void)state;
#define EBX_IS(number) 0xbb, number, 0, 0, 0 /* mov $number,%ebx */
#define CALL 0xff, 0xd0
#define EAX_IS_EBX 0x89, 0xd8
	/* In the same straight run: a copy of a copy. */
	check_cut(PIECE(EBX_IS(9), 0x89, 0xd9, 0x89, 0xc8, SYSCALL, RET), 0, 9, 9);
	assert_int_equal(count_of(PIECE(EBX_IS(202), MOVE, EAX_IS_EBX, SYSCALL, RET)), 0);
	/* From before a call: what the whole function brings into it. */
	check_cut(PIECE(0x53, EBX_IS(9), CALL, MOVE, EAX_IS_EBX, SYSCALL, 0x5b, RET), 8, 5, 9);
	assert_int_equal(
	    count_of(PIECE(0x53, EBX_IS(202), CALL, MOVE, EAX_IS_EBX, SYSCALL, 0x5b, RET)), 0);
	assert_int_equal(count_of(PIECE(EBX_IS(202), EBX_IS(60), CALL, MOVE, EAX_IS_EBX, SYSCALL)),
			 0);
	/* One of two that are wanted; not a number; a pop in the middle; a register that calls
	 * take. */
	check_cut(PIECE(EBX_IS(202), EBX_IS(9), CALL, MOVE, EAX_IS_EBX, SYSCALL), 12, 5,
		  VMT_SITE_ANY_NUMBER);
	check_cut(PIECE(EBX_IS(202), 0x89, 0xf3, CALL, MOVE, EAX_IS_EBX, SYSCALL), 9, 5,
		  VMT_SITE_ANY_NUMBER);
	check_cut(PIECE(EBX_IS(202), 0x5b, CALL, MOVE, EAX_IS_EBX, SYSCALL), 8, 5,
		  VMT_SITE_ANY_NUMBER);
	check_cut(PIECE(0xbe, 202, 0, 0, 0, CALL, MOVE, 0x89, 0xf0, SYSCALL), 7, 5,
		  VMT_SITE_ANY_NUMBER);
	/* No number at all. */
	check_cut(PIECE(CALL, MOVE, EAX_IS_EBX, SYSCALL), 2, 5, VMT_SITE_ANY_NUMBER);
}

/* mov $n,%edx; xor %edi,%edi; mov %edx,%eax; syscall; jmp back: as exit is made, for ever. */
static void
the_number_of_a_loop_may_come_from_before_it(void **state)
{
	(void)state;
#define LOOP(number, back)                                                                         \
	0xba, number, 0, 0, 0, 0x31, 0xff, 0x89, 0xd0, SYSCALL, 0xeb, (uint8_t)(back)
	assert_int_equal(count_of(PIECE(LOOP(60, -8))), 0);
	assert_int_equal(count_of(PIECE(LOOP(60, -6))), 0);
	/* It is wanted: something leads into what would be cut. */
	check_refused(PIECE(LOOP(231, -8)), VMT_SITE_JUMPED_INTO);
	/* The copy is not made again, or the call itself has changed what is copied. */
	check_refused(PIECE(LOOP(60, -4)), VMT_SITE_JUMPED_TO);
	check_refused(PIECE(0xb9, 60, 0, 0, 0, 0x31, 0xff, 0x89, 0xc8, SYSCALL, 0xeb, 0xf8),
		      VMT_SITE_JUMPED_INTO);
	check_refused(PIECE(0xb8, 60, 0, 0, 0, 0x31, 0xff, 0x89, 0xfa, SYSCALL, 0xeb, 0xf8),
		      VMT_SITE_JUMPED_INTO);
	/* Somebody else comes, too. */
	check_refused(PIECE(0xeb, 5, LOOP(60, -8)), VMT_SITE_JUMPED_INTO);
#undef LOOP
}

/* mov $n,%edx; a branch; mov %edx,%eax; syscall: in a function without calls. */
static void
the_number_may_come_from_where_the_function_begins(void **state)
{
	(void)state;
#define COPIED 0x89, 0xd0, SYSCALL, 0xf4
	assert_int_equal(count_of(PIECE(0xba, 60, 0, 0, 0, 0xeb, 1, RET, COPIED)), 0);
	/* An argument of the caller's on one way; a call in between; another value. */
	check_refused(PIECE(0x74, 5, 0xba, 60, 0, 0, 0, 0xeb, 1, RET, COPIED), VMT_SITE_NO_ROOM);
	check_refused(PIECE(0xba, 60, 0, 0, 0, 0xe8, 0, 0, 0, 0, 0xeb, 1, RET, COPIED),
		      VMT_SITE_NO_ROOM);
	check_refused(PIECE(0xba, 60, 0, 0, 0, 0x5a, 0xeb, 1, RET, COPIED), VMT_SITE_NO_ROOM);
	check_refused(PIECE(0xba, 9, 0, 0, 0, 0xba, 60, 0, 0, 0, 0xeb, 1, RET, COPIED),
		      VMT_SITE_NO_ROOM);
#undef COPIED
}

static void
what_looks_like_a_syscall_is_none(void **state)
{
	(void)state;
	/* mov $0x050f0009,%eax; cmpb $5,(%rdi,%rcx,1) with 0f in the middle; a distance */
	assert_int_equal(count_of(PIECE(MMAP, 0xba, 9, 0, 0x0f, 0x05, RET)), 0);
	assert_int_equal(count_of(PIECE(MMAP, 0xe8, 0x0f, 0x05, 0, 0, RET)), 0);
	/* In a gap, data after the code: nothing before it brings a number or arguments. */
	check_refused(&(const struct piece){.code = (const uint8_t[]){RET, 0x21, 0x55, 0x44, 0x21,
								      0x55, 0x44, SYSCALL, RET},
					    .length = 10,
					    .is_gap = true},
		      VMT_SITE_MAYBE_DATA);
	/* ... and code is found there. */
	assert_int_equal(
	    find_one(&(const struct piece){.code = (const uint8_t[]){RET, MMAP, SYSCALL, RET},
					   .length = 9,
					   .is_gap = true})
		.number,
	    9);
}

static void
no_branch_may_lead_into_a_cut(void **state)
{
	(void)state;
	/* jmp and je to the mov in the middle, from behind and from before; loop */
	check_refused(PIECE(MMAP, MOVE, SYSCALL, 0xeb, 0xf9, RET), VMT_SITE_JUMPED_INTO);
	check_refused(PIECE(MMAP, MOVE, SYSCALL, 0x74, 0xf9, RET), VMT_SITE_JUMPED_INTO);
	check_refused(PIECE(0x74, 0x05, MMAP, MOVE, SYSCALL, RET), VMT_SITE_JUMPED_INTO);
	check_refused(PIECE(MMAP, MOVE, SYSCALL, 0xe2, 0xf9, RET), VMT_SITE_JUMPED_INTO);
	/* With 4 bytes: jmp, je, call */
	check_refused(PIECE(MMAP, MOVE, SYSCALL, 0xe9, 0xf6, 0xff, 0xff, 0xff, RET),
		      VMT_SITE_JUMPED_INTO);
	check_refused(PIECE(MMAP, MOVE, SYSCALL, 0x0f, 0x84, 0xf5, 0xff, 0xff, 0xff, RET),
		      VMT_SITE_JUMPED_INTO);
	check_refused(PIECE(MMAP, MOVE, SYSCALL, 0xe8, 0xf6, 0xff, 0xff, 0xff, RET),
		      VMT_SITE_JUMPED_INTO);
	/* To the first byte it may. */
	check_cut(PIECE(MMAP, MOVE, SYSCALL, 0xeb, 0xf4, RET), 0, 8, 9);
}

/* From another function, which lies further away than a short branch reaches. */
static void
no_branch_from_elsewhere_may_lead_into_a_cut(void **state)
{
	uint8_t code[64] = {MMAP, MOVE, SYSCALL, RET};
	const struct piece piece = {.code = code, .length = sizeof(code)};

	(void)state;
	memset(code + 11, 0x90, sizeof(code) - 11);
	code[40] = 0xe9;
	for (int32_t to = 1; to < 8; to++) { /* the middle of an instruction too */
		int32_t distance = to - 45;

		memcpy(code + 41, &distance, sizeof(distance));
		check_refused(&piece, VMT_SITE_JUMPED_INTO);
	}
	memcpy(code + 41, &(int32_t){-45}, sizeof(int32_t));
	assert_int_equal(find_one(&piece).verdict, VMT_SITE_CUT);
	memcpy(code + 41, &(int32_t){8 - 45}, sizeof(int32_t));
	check_refused(&piece, VMT_SITE_JUMPED_TO);
}

/* It reaches the cut, and not the syscall. */
static void
no_branch_from_before_the_function_may_lead_into_a_cut(void **state)
{
	static const uint8_t end[] = {MMAP, MOVE, MOVE, SYSCALL, RET};
	uint8_t code[121 + sizeof(end)] = {0xeb, 127};
	const struct piece piece = {.code = code, .length = sizeof(code), .start = 2};

	(void)state;
	memset(code + 2, 0x90, sizeof(code) - 2);
	memcpy(code + 121, end, sizeof(end));
	check_refused(&piece, VMT_SITE_JUMPED_INTO);
	code[1] = 124; /* to the first byte it may */
	check_cut(&piece, 126, 6, VMT_SITE_ANY_NUMBER);
	code[1] = 119;
	check_cut(&piece, 126, 6, 9);
}

/* What calls such a function is not read for each of its calls: here that would take minutes. */
static void
callers_are_not_read_for_each_call(void **state)
{
	static const uint8_t begin[] = {MMAP, MOVE, SYSCALL, RET};
	static uint8_t code[sizeof(begin) + 5 * 100000];
	const struct piece piece = {.code = code, .length = sizeof(code)};

	(void)state;
	memcpy(code, begin, sizeof(begin));
	for (size_t at = sizeof(begin); at < sizeof(code); at += 5) {
		int32_t distance = -(int32_t)(at + 5);

		code[at] = 0xe8;
		memcpy(code + at + 1, &distance, sizeof(distance));
	}
	check_cut(&piece, 0, 8, 9);
}

static void
no_address_may_lead_into_a_cut(void **state)
{
	static const uint8_t code[] = {MMAP, MOVE, SYSCALL, RET};
	const uint64_t pointers[] = {1, CODE + 5, 2};
	/* lea of it; mov of it to %edi */
	static const uint8_t low_code[] = {MMAP, MOVE, SYSCALL, 0xbf, 0x05, 0x10, 0x40, 0x00, RET};

	(void)state;
	check_refused(PIECE(MMAP, MOVE, SYSCALL, 0x48, 0x8d, 0x05, 0xf4, 0xff, 0xff, 0xff, RET),
		      VMT_SITE_JUMPED_INTO);
	check_refused(&(const struct piece){.code = low_code,
					    .length = sizeof(low_code),
					    .address = LOW_CODE},
		      VMT_SITE_JUMPED_INTO);
	check_refused(&(const struct piece){.code = code,
					    .length = sizeof(code),
					    .data = pointers,
					    .data_bytes = sizeof(pointers)},
		      VMT_SITE_JUMPED_INTO);
}

/* What looks like one in Go's table of functions is none. */
static void
a_table_without_addresses_is_left_out(void **state)
{
	static const uint8_t code[] = {MMAP, MOVE, SYSCALL, RET};
	const uint64_t data[] = {0, 0, CODE + 5, 0, 0, CODE + 5};
	struct piece piece = {.code = code,
			      .length = sizeof(code),
			      .data = data,
			      .data_bytes = 5 * sizeof(data[0]),
			      .table = 8,
			      .table_bytes = 24};

	(void)state;
	check_cut(&piece, 0, 8, 9);
	piece.table_bytes = 8;
	check_refused(&piece, VMT_SITE_JUMPED_INTO);
	piece.table = 24;
	check_refused(&piece, VMT_SITE_JUMPED_INTO);
	/* Behind it, and of a table that does not lie in the segment as a whole. */
	piece.table = 8;
	piece.table_bytes = 24;
	piece.data_bytes = sizeof(data);
	check_refused(&piece, VMT_SITE_JUMPED_INTO);
	piece.data_bytes = 3 * sizeof(data[0]);
	check_refused(&piece, VMT_SITE_JUMPED_INTO);
}

static void
no_table_of_distances_may_lead_into_a_cut(void **state)
{
	uint8_t code[] = {MMAP, MOVE, SYSCALL, RET, 0x48, 0x8d, 0x05, 0, 0, 0, 0, RET};
	int32_t table[] = {0, 0, (int32_t)(CODE - DATA - 8), (int32_t)(CODE + 5 - DATA - 8)};
	int32_t distance = (int32_t)(DATA + 8 - (CODE + 18));
	const struct piece piece = {
	    .code = code, .length = sizeof(code), .data = table, .data_bytes = sizeof(table)};

	(void)state;
	memcpy(code + 14, &distance, sizeof(distance));
	check_refused(&piece, VMT_SITE_JUMPED_INTO);
	table[3] = table[2];
	assert_int_equal(find_one(&piece).verdict, VMT_SITE_CUT);
}

/* Nor one of thousands of entries, of which the last leads there; of more than are looked at, any
 * may. */
static void
no_long_table_of_distances_may_lead_into_a_cut(void **state)
{
	enum { ENTRIES = 65537 };
	static int32_t table[ENTRIES + 2];
	uint8_t code[] = {MMAP, MOVE, SYSCALL, RET, 0x48, 0x8d, 0x05, 0, 0, 0, 0, RET};
	int32_t distance = (int32_t)(DATA + 8 - (CODE + 18));
	struct piece piece = {.code = code, .length = sizeof(code), .data = table};

	(void)state;
	memcpy(code + 14, &distance, sizeof(distance));
	for (size_t i = 2; i < ENTRIES + 2; i++)
		table[i] = (int32_t)(CODE - DATA - 8);
	piece.data_bytes = sizeof(table) - sizeof(*table);
	assert_int_equal(find_one(&piece).verdict, VMT_SITE_CUT);
	piece.data_bytes = sizeof(table);
	check_refused(&piece, VMT_SITE_JUMPED_INTO);
	table[4100] = (int32_t)(CODE + 5 - DATA - 8);
	piece.data_bytes = 4101 * sizeof(*table);
	check_refused(&piece, VMT_SITE_JUMPED_INTO);
}

/* A syscall's bytes in each of very many numbers: who read the function anew for each of them would
 * not come to its end. */
static void
many_bytes_of_syscalls_that_are_none(void **state)
{
	enum { MOVES = 400000 };
	static const uint8_t move[] = {0xb8, SYSCALL, SYSCALL};
	static const uint8_t last[] = {MMAP, SYSCALL, RET};
	static uint8_t code[MOVES * sizeof(move) + sizeof(last)];
	struct piece piece = {.code = code, .length = sizeof(code)};

	(void)state;
	for (size_t i = 0; i < MOVES; i++)
		memcpy(code + i * sizeof(move), move, sizeof(move));
	memcpy(code + MOVES * sizeof(move), last, sizeof(last));
	check_cut(&piece, MOVES * sizeof(move), 5, 9);
}

/* Of a function that is split into two parts: the table is named in the one, far away, and leads
 * into the other. */
static void
no_table_that_is_named_far_away_may_lead_into_a_cut(void **state)
{
	static const uint8_t lea[] = {0x48, 0x8d, 0x05};
	static const uint8_t cold[] = {MMAP, MOVE, SYSCALL, RET};
	uint8_t code[1024];
	int32_t table[] = {0, 0, (int32_t)(CODE + 800 - DATA - 8),
			   (int32_t)(CODE + 805 - DATA - 8)};
	const struct piece piece = {.code = code,
				    .length = sizeof(code),
				    .data = table,
				    .data_bytes = sizeof(table),
				    .start = 400};
	int32_t distance = (int32_t)(DATA + 8 - (CODE + 27));

	(void)state;
	memset(code, 0x90, sizeof(code));
	memcpy(code + 20, lea, sizeof(lea));
	memcpy(code + 23, &distance, sizeof(distance));
	memcpy(code + 800, cold, sizeof(cold));
	check_refused(&piece, VMT_SITE_JUMPED_INTO);
	table[3] = table[2];
	assert_int_equal(find_one(&piece).verdict, VMT_SITE_CUT);
}

static void
who_comes_past_the_cut_is_told(void **state)
{
	(void)state;
	/* mov $9,%eax; jmp to the syscall of a read: the number is not known there. */
	check_refused(PIECE(MMAP, 0xeb, 0x05, READ, SYSCALL, RET), VMT_SITE_JUMPED_TO);
	/* To before the cut, but behind the number: any call. */
	check_cut(PIECE(0x74, 0x05, READ, 0x48, 0x8b, 0x7c, 0x24, 0x08, SYSCALL, RET), 7, 5,
		  VMT_SITE_ANY_NUMBER);
}

static void
what_can_not_be_cut_is_told(void **state)
{
	(void)state;
	check_refused(PIECE(MOVE, SYSCALL, RET), VMT_SITE_NO_ROOM);
	check_refused(PIECE(RET, MOVE, SYSCALL, RET), VMT_SITE_NO_ROOM);
	/* A call returns into the cut. */
	check_refused(PIECE(0xff, 0xd0, MOVE, SYSCALL, RET), VMT_SITE_NO_ROOM);
	check_refused(PIECE(MMAP, 0x74, 0x00, MOVE, SYSCALL, RET), VMT_SITE_CANT_MOVE);
	/* mov 0(%eip),%ecx */
	check_refused(PIECE(MMAP, 0x67, 0x8b, 0x0d, 0, 0, 0, 0, SYSCALL, RET), VMT_SITE_CANT_MOVE);
	check_refused(PIECE(MMAP, SYSCALL, RET, 0x06), VMT_SITE_UNKNOWN_CODE);
	/* musl's and glibc's own look at where a signal struck. */
	check_refused(PIECE(0x4d, 0x89, 0xca, 0x4c, 0x8b, 0x44, 0x24, 0x08, 0x4c, 0x8b, 0x4c, 0x24,
			    0x10, 0x4c, 0x89, 0x5c, 0x24, 0x08, SYSCALL, RET),
		      VMT_SITE_CANCEL_POINT);
}

static void
known_functions_of_go_are_left_to_their_patch(void **state)
{
	(void)state;
#if defined(__x86_64__)
	check_refused(PIECE(VMT_GO_FORM_MADVISE), VMT_SITE_GO_FORM);
	check_refused(PIECE(VMT_GO_FORM_MADVISE_SHORT), VMT_SITE_GO_FORM);
	check_refused(PIECE(VMT_GO_FORM_MUNMAP_SHORT, RET), VMT_SITE_GO_FORM);
	check_refused(PIECE(VMT_GO_FORM_MMAP, RET), VMT_SITE_GO_FORM);
	check_refused(PIECE(VMT_GO_FORM_MUNMAP, RET), VMT_SITE_GO_FORM);
	check_refused(PIECE(VMT_GO_FORM_SYSCALL, RET), VMT_SITE_GO_FORM);
	check_refused(PIECE(VMT_GO_FORM_EXIT), VMT_SITE_GO_FORM);
#endif
}

static void
each_syscall_of_a_function_is_judged_by_itself(void **state)
{
	struct vmt_syscall_site sites[4];

	(void)state;
	/* musl's __unmapself: munmap, then exit */
	assert_int_equal(
	    find(PIECE(0xb8, 11, 0, 0, 0, SYSCALL, 0x31, 0xff, 0xb8, 60, 0, 0, 0, SYSCALL), sites),
	    1);
	assert_int_equal(sites[0].number, 11);
	assert_int_equal(find(PIECE(MMAP, SYSCALL, 0xb8, 28, 0, 0, 0, SYSCALL, RET), sites), 2);
	assert_int_equal(sites[0].number, 9);
	assert_int_equal(sites[1].number, 28);
	assert_int_equal(sites[1].verdict, VMT_SITE_CUT);
	/* The second has only what stands behind the first. */
	assert_int_equal(find(PIECE(MMAP, SYSCALL, MOVE, SYSCALL, RET), sites), 2);
	assert_int_equal(sites[1].verdict, VMT_SITE_NO_ROOM);
	assert_int_equal(sites[1].number, VMT_SITE_ANY_NUMBER);
}

/* -- a real file, as it would lie in a process
 * ----------------------------------------------------- */

struct image {
	struct vmt_file file;
	uint64_t bias;
};

static int
read_image(void *context, uint64_t address, void *to, size_t bytes)
{
	const struct image *image = context;
	const Elf64_Ehdr *header = (const void *)image->file.bytes;
	const Elf64_Phdr *segments = (const void *)(image->file.bytes + header->e_phoff);
	uint64_t at = address - image->bias;

	for (unsigned i = 0; i < header->e_phnum; i++) {
		if (segments[i].p_type != PT_LOAD || at < segments[i].p_vaddr ||
		    at + bytes > segments[i].p_vaddr + segments[i].p_filesz)
			continue;
		memcpy(to, image->file.bytes + segments[i].p_offset + (at - segments[i].p_vaddr),
		       bytes);
		return 0;
	}
	return -EFAULT;
}

static void
open_image(struct image *image, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat status;

	assert_true(fd >= 0 && fstat(fd, &status) == 0);
	image->file.length = (size_t)status.st_size;
	image->file.bytes = mmap(NULL, image->file.length, PROT_READ, MAP_PRIVATE, fd, 0);
	assert_true(image->file.bytes != MAP_FAILED);
	close(fd);
}

/* Of the segment that holds the file's beginning. */
static uint64_t
first_address(const struct image *image)
{
	const Elf64_Ehdr *header = (const void *)image->file.bytes;
	const Elf64_Phdr *segments = (const void *)(image->file.bytes + header->e_phoff);

	for (unsigned i = 0; i < header->e_phnum; i++)
		if (segments[i].p_type == PT_LOAD && segments[i].p_offset == 0)
			return segments[i].p_vaddr;
	fail_msg("no segment holds the file's beginning");
	return 0;
}

static int
compare_syscalls(const void *left, const void *right)
{
	const struct vmt_syscall_site *a = left;
	const struct vmt_syscall_site *b = right;

	return (a->syscall > b->syscall) - (a->syscall < b->syscall);
}

/* Every number is wanted: so every syscall must be found, and be the same as objdump's. */
static void
check_against_objdump(const char *path, size_t at_least)
{
	static uint16_t all[600];
	struct image image = {.bias = 0};
	struct vmt_wanted_calls every = {.numbers = all, .count = 600};
	struct vmt_syscall_site *sites;
	struct vmt_code_map map;
	struct vmt_buffer found = {0};
	char command[300];
	char line[300];
	size_t count;
	size_t at = 0;
	bool *begun;
	FILE *output;

	for (uint16_t i = 0; i < 600; i++)
		all[i] = i;
	open_image(&image, path);
	if (((const Elf64_Ehdr *)(const void *)image.file.bytes)->e_type == ET_DYN)
		image.bias = 0x7f1234560000;
	assert_int_equal(
	    vmt_code_map_open(&map, image.bias + first_address(&image), read_image, &image), 0);
	assert_int_equal(vmt_file_functions_add(&image.file, &map), 0);
	vmt_code_map_settle(&map);
	assert_true(map.functions_count > 500);
	assert_int_equal(vmt_syscall_sites_find(&map, &every, &found, &count), 0);
	sites = (void *)found.bytes;
	qsort(sites, count, sizeof(*sites), compare_syscalls);
	begun = calloc(count + 1, sizeof(*begun));
	assert_non_null(begun);
	snprintf(command, sizeof(command), "objdump -d -w '%s'", path);
	output = popen(command, "r");
	assert_non_null(output);
	while (fgets(line, sizeof(line), output)) {
		uint64_t address = strtoull(line, NULL, 16) + image.bias;

		/* A cut begins with an instruction, at most before the last syscall. */
		for (size_t i = at; i < count && i < at + 2; i++)
			begun[i] = begun[i] || sites[i].address == address;
		if (!strstr(line, "\t0f 05 ") || !strstr(line, "syscall"))
			continue;
		assert_true(at < count);
		assert_int_equal(sites[at].syscall, address);
		assert_true(begun[at] && sites[at].verdict != VMT_SITE_UNKNOWN_CODE);
		at++;
	}
	assert_int_equal(pclose(output), 0);
	assert_int_equal(at, count);
	assert_true(count >= at_least);
	free(begun);
	print_message("%s: %zu syscall instructions, the same as objdump's\n", path, count);
	vmt_buffer_free(&found);
	vmt_code_map_close(&map);
	munmap((void *)(uintptr_t)image.file.bytes, image.file.length);
}

static void
each_syscall_of_a_c_library_is_found(void **state)
{
	static const char *const paths[] = {
	    "/lib/x86_64-linux-gnu/libc.so.6", "/usr/lib64/libc.so.6",
	    "/usr/lib/x86_64-linux-musl/libc.so", "/usr/bin/busybox"};
	unsigned checked = 0;

	(void)state;
	if (system("command -v objdump >/dev/null") != 0)
		skip();
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		if (access(paths[i], R_OK) != 0)
			continue;
		check_against_objdump(paths[i], 200);
		checked++;
	}
	if (checked == 0)
		skip();
}

/* What that would cost has a bound; those that are left are counted. */
static void
of_too_many_the_first_are_taken(void **state)
{
	static const uint8_t call[] = {0xb8, 9, 0, 0, 0, 0x0f, 0x05};
	static uint8_t code[10000 * sizeof(call)];
	const struct vmt_code_segment segment = {CODE, sizeof(code), code, true};
	struct vmt_code_map map = {0};
	struct vmt_buffer found = {0};
	const struct vmt_syscall_site *sites;
	size_t count;

	(void)state;
	for (size_t i = 0; i < sizeof(code); i += sizeof(call))
		memcpy(code + i, call, sizeof(call));
	assert_int_equal(vmt_code_map_add_segment(&map, &segment), 0);
	vmt_code_map_settle(&map);
	assert_int_equal(vmt_syscall_sites_find(&map, &wanted, &found, &count), 0);
	sites = (const void *)found.bytes;
	assert_true(count > 1000 && count < 10000);
	for (size_t i = 0; i + 1 < count; i++) {
		assert_int_equal(sites[i].verdict, VMT_SITE_CUT);
		assert_int_equal(sites[i].address, CODE + i * sizeof(call));
	}
	assert_int_equal(sites[count - 1].verdict, VMT_SITE_TOO_MANY);
	assert_int_equal(sites[count - 1].syscall, CODE + (count - 1) * sizeof(call) + 5);
	assert_int_equal(count + sites[count - 1].others, 10000);
	vmt_buffer_free(&found);
	vmt_code_map_close(&map);
}

/* ... whose functions are those of Go's own table. */
static void
each_syscall_of_a_go_program_is_found(void **state)
{
	glob_t found = {0};
	size_t most = (size_t)soak_count(5, 100);

	(void)state;
	glob("/opt/go-debian/*/usr/lib/go-*/bin/gofmt", 0, NULL, &found);
	glob("/usr/lib/go-*/bin/gofmt", GLOB_APPEND, NULL, &found);
	if (found.gl_pathc == 0 || system("command -v objdump >/dev/null") != 0) {
		globfree(&found);
		print_message("no Go program, or no objdump, on this machine\n");
		skip();
	}
	for (size_t i = 0; i < found.gl_pathc && i < most;
	     i++) /* the oldest and the newest first */
		check_against_objdump(
		    found.gl_pathv[i % 2 == 0 ? i / 2 : found.gl_pathc - 1 - i / 2], 30);
	globfree(&found);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_cut_is_what_stands_before_the_syscall),
	    cmocka_unit_test(the_number_is_what_eax_was_set_to_last),
	    cmocka_unit_test(the_number_may_come_from_a_register),
	    cmocka_unit_test(a_function_that_begins_elsewhere_is_not_cut),
	    cmocka_unit_test(the_number_of_a_loop_may_come_from_before_it),
	    cmocka_unit_test(the_number_may_come_from_where_the_function_begins),
	    cmocka_unit_test(what_looks_like_a_syscall_is_none),
	    cmocka_unit_test(no_branch_may_lead_into_a_cut),
	    cmocka_unit_test(no_branch_from_elsewhere_may_lead_into_a_cut),
	    cmocka_unit_test(no_branch_from_before_the_function_may_lead_into_a_cut),
	    cmocka_unit_test(callers_are_not_read_for_each_call),
	    cmocka_unit_test(no_address_may_lead_into_a_cut),
	    cmocka_unit_test(a_table_without_addresses_is_left_out),
	    cmocka_unit_test(no_table_of_distances_may_lead_into_a_cut),
	    cmocka_unit_test(no_long_table_of_distances_may_lead_into_a_cut),
	    cmocka_unit_test(many_bytes_of_syscalls_that_are_none),
	    cmocka_unit_test(no_table_that_is_named_far_away_may_lead_into_a_cut),
	    cmocka_unit_test(who_comes_past_the_cut_is_told),
	    cmocka_unit_test(what_can_not_be_cut_is_told),
	    cmocka_unit_test(known_functions_of_go_are_left_to_their_patch),
	    cmocka_unit_test(each_syscall_of_a_function_is_judged_by_itself),
	    cmocka_unit_test(each_syscall_of_a_c_library_is_found),
	    cmocka_unit_test(of_too_many_the_first_are_taken),
	    cmocka_unit_test(the_end_of_a_process_is_cut_before_a_jump),
	    cmocka_unit_test(each_syscall_of_a_go_program_is_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
