/* Rules out of hand-made .eh_frame bytes, whole and damaged; the table of rules. */
#include "capture/modules/modules.h"
#include "capture/stacks/capture.h"
#include "capture/stacks/cfi.h"
#include "tests/unit/memory_trace.h"
#include "unwind/cfi_parse.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>

#include <cmocka.h>
#include <pthread.h>

#define CODE_DISTANCE 0x10000 /* of the pretended function from the section */
#define CODE_BYTES 0x100
#define MAX_BYTES 64

struct bytes {
	unsigned char at[MAX_BYTES];
	unsigned count;
};

#define BYTES(...)                                                                                 \
	{                                                                                          \
		.at = {__VA_ARGS__}, .count = sizeof((unsigned char[]){__VA_ARGS__})               \
	}

struct section {
	struct vmt_loaded_module module;
	unsigned char *mapping;
	unsigned char *start;
	uint64_t code;
	unsigned bytes;
};

static unsigned char *
put(unsigned char *at, const void *bytes, unsigned count)
{
	memcpy(at, bytes, count);
	return at + count;
}

static unsigned char *
put_word(unsigned char *at, int64_t word)
{
	int32_t narrow = (int32_t)word;

	return put(at, &narrow, sizeof(narrow));
}

/* A CIE of version 1 as GCC writes it: CFA = rsp + 8, return address at CFA - 8. */
static unsigned char *
put_cie(unsigned char *at, const char *augmentation)
{
	static const unsigned char rest[] = {1, 0x78, 16, 1, 0x1b, 0x0c, 7, 8, 0x90, 1};
	unsigned letters = (unsigned)strlen(augmentation) + 1;

	at = put_word(at, 4 + 1 + letters + (int64_t)sizeof(rest));
	at = put_word(at, 0);
	*at++ = 1;
	at = put(at, augmentation, letters);
	return put(at, rest, sizeof(rest));
}

static unsigned char *
put_fde(unsigned char *at, const unsigned char *cie, uint64_t code, const struct bytes *program)
{
	at = put_word(at, 4 + 4 + 4 + 1 + program->count);
	at = put_word(at, at - cie);
	at = put_word(at, (int64_t)code - (int64_t)at);
	at = put_word(at, CODE_BYTES);
	*at++ = 0;
	return put(at, program->at, program->count);
}

/* .eh_frame_hdr with one entry, then the CIE and the FDE. */
static unsigned char *
put_section(unsigned char *start, uint64_t code, const char *augmentation,
	    const struct bytes *program)
{
	static const unsigned char encodings[] = {1, 0x1b, 0x03, 0x3b};
	unsigned char *frames = start + 20;
	unsigned char *fde = put_cie(frames, augmentation);
	unsigned char *at = put(start, encodings, sizeof(encodings));

	at = put_word(at, frames - at);
	at = put_word(at, 1);
	at = put_word(at, (int64_t)code - (int64_t)start);
	put_word(at, fde - start);
	return put_fde(fde, frames, code, program);
}

/* The section ends where nothing can be read. */
static void
make_section(struct section *section, const char *augmentation, const struct bytes *program)
{
	unsigned char scratch[512];
	unsigned bytes =
	    (unsigned)(put_section(scratch, (uint64_t)scratch, augmentation, program) - scratch);
	unsigned char *mapping =
	    mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	unsigned char *start = mapping + 4096 - bytes;

	assert_ptr_not_equal(mapping, MAP_FAILED);
	assert_int_equal(mprotect(mapping + 4096, 4096, PROT_NONE), 0);
	*section = (struct section){
	    .mapping = mapping,
	    .start = start,
	    .bytes = bytes,
	    .code = (uint64_t)start + CODE_DISTANCE,
	    .module = {.low = (uint64_t)mapping,
		       .high = (uint64_t)mapping + (1 << 20),
		       .eh_frame_hdr = (uint64_t)start,
		       .eh_frame_hdr_bytes = 20,
		       .frames_low = (uint64_t)start,
		       .frames_high = (uint64_t)start + bytes},
	};
	put_section(start, section->code, augmentation, program);
}

static uint32_t
parse_once(const char *augmentation, const struct bytes *program, unsigned offset)
{
	struct section section;
	uint32_t rule;

	make_section(&section, augmentation, program);
	rule = vmt_cfi_parse(&section.module, section.code + offset);
	munmap(section.mapping, 8192);
	return rule;
}

struct example {
	const char *what;
	struct bytes program;
	unsigned offset;
	enum vmt_cfi_rule_kind kind;
	unsigned cfa_bytes;
	unsigned rbp_words;
};

/* push rbp; mov rsp, rbp; ...; leave */
#define FRAME_PROGRAM                                                                              \
	0x41, 0x0e, 16, 0x86, 2, 0x43, 0x0d, 6, 0x02, 0x80, 0x0a, 0x0c, 7, 8, 0xc6, 0x41, 0x0b

static const struct example examples[] = {
    {"empty program", BYTES(0), 5, VMT_CFI_STACK, 8, 0},
    {"first byte", BYTES(0x41, 0x0e, 16), 0, VMT_CFI_STACK, 8, 0},
    {"after an advance", BYTES(0x41, 0x0e, 16), 1, VMT_CFI_STACK, 16, 0},
    {"frame: before", BYTES(FRAME_PROGRAM), 0, VMT_CFI_STACK, 8, 0},
    {"frame: pushed", BYTES(FRAME_PROGRAM), 1, VMT_CFI_STACK, 16, 2},
    {"frame: body", BYTES(FRAME_PROGRAM), 100, VMT_CFI_FRAME, 16, 2},
    {"frame: left, rbp restored", BYTES(FRAME_PROGRAM), 0x84, VMT_CFI_STACK, 8, 0},
    {"frame: state restored", BYTES(FRAME_PROGRAM), 0x85, VMT_CFI_FRAME, 16, 2},
    {"advance_loc2", BYTES(0x03, 0x80, 0, 0x0e, 24), 0x80, VMT_CFI_STACK, 24, 0},
    {"advance_loc4", BYTES(0x04, 0x81, 0, 0, 0, 0x0e, 24), 0x80, VMT_CFI_STACK, 8, 0},
    {"large frame", BYTES(0x0e, 0x80, 0x80, 0x10), 1, VMT_CFI_STACK, 0x40000, 0},
    {"frame too large to pack", BYTES(0x0e, 0x80, 0x80, 0x40), 1, VMT_CFI_FRAME_POINTER, 0, 0},
    {"odd offset", BYTES(0x0e, 13), 1, VMT_CFI_FRAME_POINTER, 0, 0},
    {"signed offset", BYTES(0x13, 0x7d), 1, VMT_CFI_STACK, 24, 0},
    {"signed definition", BYTES(0x12, 6, 0x7e), 1, VMT_CFI_FRAME, 16, 0},
    {"offset_extended", BYTES(0x05, 6, 3), 1, VMT_CFI_STACK, 8, 3},
    {"offset_extended_sf", BYTES(0x11, 6, 4), 1, VMT_CFI_STACK, 8, 4},
    {"rbp above the CFA", BYTES(0x11, 6, 0x7c), 1, VMT_CFI_STACK, 8, VMT_CFI_RBP_LOST},
    {"rbp undefined", BYTES(0x07, 6), 1, VMT_CFI_STACK, 8, VMT_CFI_RBP_LOST},
    {"rbp in another register", BYTES(0x09, 6, 0), 1, VMT_CFI_STACK, 8, VMT_CFI_RBP_LOST},
    {"rbp same", BYTES(0x86, 2, 0x08, 6), 1, VMT_CFI_STACK, 8, 0},
    {"rbx does not matter", BYTES(0x83, 2, 0x07, 3), 1, VMT_CFI_STACK, 8, 0},
    {"return address undefined", BYTES(0x07, 16), 1, VMT_CFI_END, 0, 0},
    {"return address elsewhere", BYTES(0x90, 2), 1, VMT_CFI_FRAME_POINTER, 0, 0},
    {"CFA from rax", BYTES(0x0c, 0, 8), 1, VMT_CFI_FRAME_POINTER, 0, 0},
    {"GNU_args_size", BYTES(0x2e, 16, 0x0e, 32), 1, VMT_CFI_STACK, 32, 0},
    {"PLT before the push",
     BYTES(0x0f, 11, 0x77, 8, 0x80, 0, 0x3f, 0x1a, 0x3b, 0x2a, 0x33, 0x24, 0x22), 0x20,
     VMT_CFI_STACK, 8, 0},
    {"realigned frame", BYTES(0x10, 6, 2, 0x76, 0, 0x0f, 3, 0x76, 0x78, 0x06), 1, VMT_CFI_LOAD, 8,
     0},
    {"realigned, rbp elsewhere", BYTES(0x0f, 3, 0x76, 0x78, 0x06), 1, VMT_CFI_FRAME_POINTER, 0, 0},
    {"unknown expression", BYTES(0x0f, 2, 0x50, 0x06), 1, VMT_CFI_FRAME_POINTER, 0, 0},
    {"unknown instruction", BYTES(0x3f), 1, VMT_CFI_FRAME_POINTER, 0, 0},
    {"operand cut off", BYTES(0x0e, 0x80), 1, VMT_CFI_FRAME_POINTER, 0, 0},
    {"block cut off", BYTES(0x0f, 60, 0x77), 1, VMT_CFI_FRAME_POINTER, 0, 0},
    {"restore without remember", BYTES(0x0b), 1, VMT_CFI_FRAME_POINTER, 0, 0},
    {"remembered too often", BYTES(0x0a, 0x0a, 0x0a, 0x0a, 0x0a, 0x0a, 0x0a), 1,
     VMT_CFI_FRAME_POINTER, 0, 0},
    {"behind the function", BYTES(0), CODE_BYTES, VMT_CFI_FRAME_POINTER, 0, 0},
};

static void
test_examples(void **state)
{
	(void)state;
	for (unsigned i = 0; i < sizeof(examples) / sizeof(examples[0]); i++) {
		const struct example *example = &examples[i];
		uint32_t rule = parse_once("zR", &example->program, example->offset);

		if (rule !=
		    vmt_cfi_rule_pack(example->kind, example->cfa_bytes / 8, example->rbp_words))
			fail_msg("%s: kind %d, cfa %lu, rbp %lu", example->what,
				 vmt_cfi_rule_kind(rule),
				 (unsigned long)vmt_cfi_rule_cfa_bytes(rule),
				 (unsigned long)vmt_cfi_rule_rbp_words(rule));
	}
}

/* Whether the word is pushed yet depends on the address itself. */
static void
test_plt(void **state)
{
	static const struct bytes program =
	    BYTES(0x0f, 11, 0x77, 8, 0x80, 0, 0x3f, 0x1a, 0x3b, 0x2a, 0x33, 0x24, 0x22);
	struct section section;

	(void)state;
	make_section(&section, "zR", &program);
	for (uint64_t address = section.code; address < section.code + 32; address++) {
		uint32_t rule = vmt_cfi_parse(&section.module, address);

		assert_int_equal(vmt_cfi_rule_kind(rule), VMT_CFI_STACK);
		assert_int_equal(vmt_cfi_rule_cfa_bytes(rule), (address & 15) >= 11 ? 16 : 8);
	}
	munmap(section.mapping, 8192);
}

static void
test_augmentations(void **state)
{
	static const struct bytes program = BYTES(0x0e, 16);

	(void)state;
	assert_int_equal(vmt_cfi_rule_kind(parse_once("zRS", &program, 1)), VMT_CFI_SIGNAL);
	assert_int_equal(vmt_cfi_rule_kind(parse_once("zRB", &program, 1)), VMT_CFI_STACK);
	assert_int_equal(vmt_cfi_rule_kind(parse_once("zX", &program, 1)), VMT_CFI_FRAME_POINTER);
	assert_int_equal(vmt_cfi_rule_kind(parse_once("eh", &program, 1)), VMT_CFI_FRAME_POINTER);
}

/* Every bit flipped, and the segment cut at every byte: some rule, and no read past the end. */
static void
test_damage(void **state)
{
	static const struct bytes program = BYTES(FRAME_PROGRAM);
	struct section section;

	(void)state;
	make_section(&section, "zR", &program);
	for (unsigned bit = 0; bit < section.bytes * 8; bit++) {
		section.start[bit / 8] ^= (unsigned char)(1 << bit % 8);
		for (unsigned offset = 0; offset < CODE_BYTES; offset += 0x11)
			assert_int_not_equal(vmt_cfi_parse(&section.module, section.code + offset),
					     0);
		section.start[bit / 8] ^= (unsigned char)(1 << bit % 8);
	}
	for (unsigned bytes = 0; bytes < section.bytes; bytes++) {
		section.module.frames_high = (uint64_t)section.start + bytes;
		assert_int_equal(
		    vmt_cfi_rule_kind(vmt_cfi_parse(&section.module, section.code + 100)),
		    VMT_CFI_FRAME_POINTER);
	}
	munmap(section.mapping, 8192);
}

static void
test_pack(void **state)
{
	uint32_t rule = vmt_cfi_rule_pack(VMT_CFI_FRAME, VMT_CFI_CFA_WORDS_MAX, VMT_CFI_RBP_LOST);

	(void)state;
	assert_true(rule < 1u << VMT_CFI_RULE_BITS);
	assert_int_equal(vmt_cfi_rule_kind(rule), VMT_CFI_FRAME);
	assert_int_equal(vmt_cfi_rule_cfa_bytes(rule), VMT_CFI_CFA_WORDS_MAX * 8);
	assert_int_equal(vmt_cfi_rule_rbp_words(rule), VMT_CFI_RBP_LOST);
}

/* The multiplier has an inverse, so no two addresses share bucket and tag. */
static void
test_scramble_can_be_undone(void **state)
{
	const uint64_t mask = (UINT64_C(1) << 48) - 1;
	uint64_t factor = vmt_cfi_scramble(1);
	uint64_t inverse = factor;

	(void)state;
	for (int i = 0; i < 6; i++)
		inverse *= 2 - factor * inverse;
	assert_int_equal(factor * inverse & mask, 1);
	for (uint64_t address = 0x1000; address < UINT64_C(1) << 47; address = address * 3 + 7)
		assert_int_equal(vmt_cfi_scramble(address) * inverse & mask, address);
}

static bool
is_remembered(uint64_t address)
{
	uint64_t key = vmt_cfi_scramble(address);
	const uint64_t *bucket = &vmt_cfi_table[(key >> VMT_CFI_TAG_BITS) * 2];

	for (int i = 0; i < 2; i++) {
		if ((bucket[i] & VMT_CFI_TAG_MASK) == (key & VMT_CFI_TAG_MASK) &&
		    bucket[i] >> VMT_CFI_TAG_BITS != 0)
			return true;
	}
	return false;
}

static uint32_t
truth(uint64_t address)
{
	struct vmt_loaded_module module;

	assert_true(vmt_modules_find(address, &module));
	return vmt_cfi_parse(&module, address);
}

/* More addresses of real code than a bucket holds: each answer is its own. */
static void
test_crowded_bucket(void **state)
{
	uint64_t start = (uint64_t)(void *)memcpy & ~UINT64_C(0xfff);
	uint64_t bucket = vmt_cfi_scramble(start) >> VMT_CFI_TAG_BITS;
	uint64_t crowd[6];
	unsigned count = 0;

	(void)state;
	vmt_cfi_forget();
	for (uint64_t address = start; count < 6 && address < start + (1 << 18); address++) {
		if (vmt_cfi_scramble(address) >> VMT_CFI_TAG_BITS == bucket)
			crowd[count++] = address;
	}
	assert_true(count >= 3);
	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 0; i < count; i++)
			assert_int_equal(vmt_cfi_find(crowd[i]), truth(crowd[i]));
	}
	assert_true(is_remembered(crowd[count - 1]));
	assert_true(is_remembered(crowd[count - 2]));
	assert_false(is_remembered(crowd[0]));
	vmt_cfi_forget();
	assert_false(is_remembered(crowd[count - 1]));
}

/* While contents may not be read, what is known is still answered, and nothing is remembered. */
static void
test_unload_under_way(void **state)
{
	uint64_t known = (uint64_t)(void *)memcpy;
	uint64_t unknown = (uint64_t)(void *)strlen;

	(void)state;
	vmt_cfi_forget();
	vmt_cfi_find(known);
	vmt_modules_begin_unload();
	assert_int_equal(vmt_cfi_find(known), vmt_cfi_find(known));
	assert_true(is_remembered(known));
	assert_int_equal(vmt_cfi_rule_kind(vmt_cfi_find(unknown)), VMT_CFI_FRAME_POINTER);
	assert_false(is_remembered(unknown));
	vmt_modules_end_unload();
	assert_false(is_remembered(known));
	assert_int_equal(vmt_cfi_find(unknown), truth(unknown));
}

#define CROWD_THREADS 4
#define CROWD_ROUNDS 40
#define CROWD_ADDRESSES 1500

static uint32_t crowd_truth[CROWD_ADDRESSES];
static uint32_t mistakes;

static void *
crowd_thread(void *context)
{
	uint64_t start = (uint64_t)(void *)memcpy;
	bool forgets = *(bool *)context;

	vmt_thread_mine()->depth = 1; /* as inside a hook */
	for (unsigned round = 0; round < CROWD_ROUNDS; round++) {
		for (unsigned i = 0; i < CROWD_ADDRESSES; i++) {
			if (vmt_cfi_find(start + i * 16) != crowd_truth[i])
				__atomic_add_fetch(&mistakes, 1, __ATOMIC_RELAXED);
		}
		if (forgets)
			vmt_cfi_forget();
	}
	return NULL;
}

static void
test_threads_share_the_table(void **state)
{
	static bool roles[CROWD_THREADS] = {true};
	pthread_t threads[CROWD_THREADS];

	(void)state;
	for (unsigned i = 0; i < CROWD_ADDRESSES; i++)
		crowd_truth[i] = truth((uint64_t)(void *)memcpy + i * 16);
	for (unsigned i = 0; i < CROWD_THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, crowd_thread, &roles[i]), 0);
	for (unsigned i = 0; i < CROWD_THREADS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(mistakes, 0);
}

static int
set_up(void **state)
{
	(void)state;
	memory_trace_begin();
	vmt_capture_set_up();
	vmt_modules_refresh();
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_examples),
	    cmocka_unit_test(test_plt),
	    cmocka_unit_test(test_augmentations),
	    cmocka_unit_test(test_damage),
	    cmocka_unit_test(test_pack),
	    cmocka_unit_test(test_scramble_can_be_undone),
	    cmocka_unit_test(test_crowded_bucket),
	    cmocka_unit_test(test_unload_under_way),
	    cmocka_unit_test(test_threads_share_the_table),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
