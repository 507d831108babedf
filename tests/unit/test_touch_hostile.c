/* Anything at all in the place of registers, copies, chains, tables and maps: walks end, with
 * frames that lie in code. */
#include "collect/touch_unwind.h"

#include "tests/unit/copied_stack.h"

#include <dlfcn.h>
#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>

#if defined(__x86_64__)

#define ROUNDS 20000u
#define FILE_ROUNDS 300u

static uint64_t random_state = UINT64_C(0x9e3779b97f4a7c15);

/* xorshift64* */
static uint64_t
next_random(void)
{
	random_state ^= random_state >> 12;
	random_state ^= random_state << 25;
	random_state ^= random_state >> 27;
	return random_state * UINT64_C(0x2545f4914f6cdd1d);
}

static uint64_t code_low;
static uint64_t code_bytes;

/* The C library's code, for the most part; addresses of the stack; anything. */
static uint64_t
random_word(uint64_t sp)
{
	switch (next_random() % 8) {
	case 0:
		return next_random();
	case 1:
		return 0;
	case 2:
	case 3:
		return sp + next_random() % COPY_BYTES / 8 * 8;
	default:
		return code_low + next_random() % code_bytes;
	}
}

static int
find_code(struct dl_phdr_info *info, size_t size, void *unused)
{
	(void)size;
	(void)unused;
	if (!strstr(info->dlpi_name, "libc.so"))
		return 0;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		if (info->dlpi_phdr[i].p_type == PT_LOAD && (info->dlpi_phdr[i].p_flags & PF_X)) {
			code_low = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;
			code_bytes = info->dlpi_phdr[i].p_memsz;
		}
	}
	return 1;
}

static void
assert_sound(uint32_t limit)
{
	assert_true(stack.count <= limit);
	assert_true(stack.end <= VMT_TOUCH_STACK_UNKNOWN);
	for (uint32_t i = 1; i < stack.count; i++)
		assert_non_null(vmt_code_ranges_find(&unwind.code, stack.frames[i] - 1));
}

static void
random_stacks_and_registers(void **state)
{
	uint64_t chain[64];

	(void)state;
	dl_iterate_phdr(find_code, NULL);
	assert_true(code_bytes > 100000);
	begin(getpid());
	for (uint32_t round = 0; round < ROUNDS; round++) {
		uint64_t sp = UINT64_C(0x7ff000000000) + next_random() % 4096;
		uint32_t limit = (uint32_t)(next_random() % (VMT_STACK_MAX_FRAMES + 2));

		for (uint64_t at = 0; at < COPY_BYTES; at += 8) {
			uint64_t word = random_word(sp);

			memcpy(copied.bytes + at, &word, sizeof(word));
		}
		for (uint32_t i = 0; i < 64; i++)
			chain[i] = random_word(sp);
		copied.thread =
		    (struct vmt_touch_thread){.ip = random_word(sp),
					      .sp = sp,
					      .bp = random_word(sp),
					      .copy = copied.bytes,
					      .copy_bytes = next_random() % (COPY_BYTES + 1),
					      .copy_wanted = COPY_BYTES,
					      .chain = chain,
					      .chain_count = next_random() % 64};
		if (round % 3 == 0)
			vmt_touch_unwind_set_go(&unwind, code_low, code_low + code_bytes / 2);
		else
			vmt_touch_unwind_set_go(&unwind, next_random(), next_random());
		if (round % 5 == 0)
			copied.thread.copy = NULL;
		walk(limit);
		assert_sound(limit < VMT_STACK_MAX_FRAMES ? limit : VMT_STACK_MAX_FRAMES);
	}
	end();
}

static char path[] = "/tmp/vmtrace-hostile-XXXXXX";

/* A shared object whose bytes are changed at random, headers and tables above all. */
struct victim {
	unsigned char *bytes;
	uint64_t length;
	uint64_t frames; /* offset of .eh_frame_hdr */
	uint64_t code;	 /* [offset, + bytes) of its code */
	uint64_t code_bytes;
	uint64_t sections; /* offset of the sections' headers, where they lead to the tables */
	uint64_t sections_bytes;
};

static struct victim
read_victim(void)
{
	struct victim victim = {.length = 0};
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	struct stat status;
	ElfW(Ehdr) head;

	assert_int_equal(fstat(fd, &status), 0);
	victim.length = (uint64_t)status.st_size;
	victim.bytes = malloc(victim.length);
	assert_int_equal(read(fd, victim.bytes, victim.length), (ssize_t)victim.length);
	close(fd);
	memcpy(&head, victim.bytes, sizeof(head));
	for (uint32_t i = 0; i < head.e_phnum; i++) {
		ElfW(Phdr) header;

		memcpy(&header, victim.bytes + head.e_phoff + i * sizeof(header), sizeof(header));
		if (header.p_type == PT_GNU_EH_FRAME)
			victim.frames = header.p_offset;
		if (header.p_type == PT_LOAD && (header.p_flags & PF_X)) {
			victim.code = header.p_offset;
			victim.code_bytes = header.p_filesz;
		}
	}
	assert_true(victim.frames > 0 && victim.code_bytes > 0);
	return victim;
}

static void
change_bytes(unsigned char *bytes, uint64_t from, uint64_t length, uint32_t changes)
{
	for (uint32_t i = 0; i < changes; i++)
		bytes[from + next_random() % length] = (unsigned char)next_random();
}

static void
write_changed(const struct victim *victim, unsigned char *bytes, uint32_t round)
{
	uint64_t tables = victim->length - victim->frames;
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	memcpy(bytes, victim->bytes, victim->length);
	if (victim->sections_bytes != 0 && round % 3 == 0)
		change_bytes(bytes, victim->sections, victim->sections_bytes, 8);
	switch (round % 4) {
	case 0:
		change_bytes(bytes, 0, 1024, 8);
		break;
	case 1:
		change_bytes(bytes, victim->frames, 16, 2);
		break;
	default:
		change_bytes(bytes, victim->frames, tables < 65536 ? tables : 65536, 8000);
	}
	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, victim->length), (ssize_t)victim->length);
	if (round % 7 == 0)
		assert_int_equal(ftruncate(fd, (off_t)(victim->frames + round)), 0);
	close(fd);
}

/* Nothing leads to its tables but the sections. */
static void
hide_index(struct victim *victim)
{
	ElfW(Ehdr) head;

	memcpy(&head, victim->bytes, sizeof(head));
	for (uint32_t i = 0; i < head.e_phnum; i++) {
		unsigned char *at = victim->bytes + head.e_phoff + i * sizeof(ElfW(Phdr));
		ElfW(Phdr) header;

		memcpy(&header, at, sizeof(header));
		if (header.p_type == PT_GNU_EH_FRAME)
			header.p_type = PT_NULL;
		memcpy(at, &header, sizeof(header));
	}
	victim->sections = head.e_shoff;
	victim->sections_bytes = head.e_shnum * sizeof(ElfW(Shdr));
}

/* As a process might map it: the code of a file that is anything. */
static void
try_tables(struct victim victim)
{
	unsigned char *bytes = malloc(victim.length);

	memcpy(path + sizeof(path) - 7, "XXXXXX", 6);
	assert_int_not_equal(mkstemp(path), -1);
	begin(getpid());
	for (uint32_t round = 0; round < FILE_ROUNDS; round++) {
		struct stat status;
		struct vmt_mapping mapping = {.start = UINT64_C(0x100000000),
					      .end = UINT64_C(0x100000000) + victim.code_bytes,
					      .file_offset = victim.code & ~UINT64_C(4095),
					      .protection = PROT_READ | PROT_EXEC,
					      .path = path,
					      .path_bytes = sizeof(path) - 1};

		write_changed(&victim, bytes, round);
		assert_int_equal(stat(path, &status), 0);
		mapping.inode = status.st_ino;
		mapping.device =
		    (uint32_t)((status.st_dev >> 8 & 0xfff) << 20 | (status.st_dev & 0xff));
		vmt_touch_unwind_mapped(&unwind, &mapping);
		code_low = mapping.start;
		code_bytes = victim.code_bytes;
		for (uint32_t i = 0; i < 100; i++) {
			copied.thread = (struct vmt_touch_thread){
			    .ip = mapping.start + next_random() % victim.code_bytes,
			    .sp = UINT64_C(0x7ff000000000),
			    .bp = UINT64_C(0x7ff000000000) + i * 8,
			    .copy = copied.bytes,
			    .copy_bytes = COPY_BYTES,
			    .copy_wanted = COPY_BYTES};
			walk(VMT_STACK_MAX_FRAMES);
			assert_sound(VMT_STACK_MAX_FRAMES);
			assert_true(stack.count > 0);
		}
		vmt_frame_rules_rest(&rules);
	}
	end();
	unlink(path);
	free(victim.bytes);
	free(bytes);
}

static void
random_tables(void **state)
{
	(void)state;
	try_tables(read_victim());
}

static void
random_tables_without_an_index(void **state)
{
	struct victim victim = read_victim();

	(void)state;
	hide_index(&victim);
	try_tables(victim);
}

/* More files than are known at a time: numbers are given out afresh, and rules still hold. */
static void
many_files(void **state)
{
	struct victim victim = read_victim();

	(void)state;
	strcpy(path + sizeof(path) - 7, "XXXXXX");
	assert_int_not_equal(mkstemp(path), -1);
	begin(getpid());
	for (uint32_t round = 0; round < 1100; round++) {
		struct stat status;
		struct vmt_mapping mapping = {.start = UINT64_C(0x100000000),
					      .end = UINT64_C(0x100000000) + victim.code_bytes,
					      .file_offset = victim.code & ~UINT64_C(4095),
					      .protection = PROT_READ | PROT_EXEC,
					      .path = path,
					      .path_bytes = sizeof(path) - 1};
		int fd = open(path, O_RDWR | O_TRUNC | O_CLOEXEC);

		assert_int_equal(write(fd, victim.bytes, 4096), 4096);
		assert_int_equal(ftruncate(fd, (off_t)(4096 + round)), 0);
		close(fd);
		assert_int_equal(stat(path, &status), 0);
		mapping.inode = status.st_ino;
		mapping.device =
		    (uint32_t)((status.st_dev >> 8 & 0xfff) << 20 | (status.st_dev & 0xff));
		vmt_touch_unwind_mapped(&unwind, &mapping);
		copied.thread = (struct vmt_touch_thread){.ip = mapping.start + 64,
							  .sp = 4096,
							  .copy = copied.bytes,
							  .copy_bytes = COPY_BYTES,
							  .copy_wanted = COPY_BYTES};
		walk(VMT_STACK_MAX_FRAMES);
		assert_true(rules.files_count <= 1024);
	}
	assert_true(rules.epoch > 1);
	unlink(path);
	free(victim.bytes);
	copied_stack_take(&copied, COPY_BYTES);
	assert_complete();
	end();
}

static void
put_code(uint64_t low, uint64_t high, uint64_t inode)
{
	const struct vmt_mapping mapping = {
	    .start = low, .end = high, .inode = inode, .protection = PROT_EXEC, .path = ""};

	vmt_code_ranges_put(&unwind.code, &mapping);
}

static uint64_t
inode_at(uint64_t address)
{
	const struct vmt_code_range *range = vmt_code_ranges_find(&unwind.code, address);

	return range ? range->inode : 0;
}

/* Against a plain array, page by page. */
static void
what_was_mapped_last_lies_there(void **state)
{
	static uint64_t model[256];
	const uint64_t base = UINT64_C(0x200000000);

	(void)state;
	begin(getpid());
	unwind.code.read_again_ns = UINT64_MAX;
	for (uint32_t round = 1; round <= 3000; round++) {
		uint64_t low = next_random() % 256;
		uint64_t bytes = 1 + next_random() % (256 - low);

		if (round % 4 != 0 && bytes > 8)
			bytes = 1 + bytes % 8;
		put_code(base + low * 4096, base + (low + bytes) * 4096, round);
		for (uint64_t i = low; i < low + bytes; i++)
			model[i] = round;
		for (uint64_t i = 0; i < 256; i++)
			assert_int_equal(inode_at(base + i * 4096 + next_random() % 4096),
					 model[i]);
	}
	for (uint64_t i = 0; i < 256; i++) {
		const struct vmt_code_range *range =
		    vmt_code_ranges_find(&unwind.code, base + i * 4096);

		if (range)
			assert_int_equal((range->low - base) % 4096, 0);
	}
	end();
}

/* What does not fit is left out, and all is read afresh when there is something to be found. */
static void
too_many_ranges(void **state)
{
	(void)state;
	begin(getpid());
	for (uint64_t i = 0; i < 2 * VMT_CODE_RANGES; i++)
		put_code(UINT64_C(0x200000000) + i * 8192, UINT64_C(0x200000000) + i * 8192 + 4096,
			 i + 1);
	assert_true(unwind.code.count <= VMT_CODE_RANGES);
	assert_true(unwind.code.full);
	unwind.code.read_again_ns = 0;
	assert_int_equal(inode_at(UINT64_C(0x1fff00000)), 0);
	assert_true(unwind.code.count < 1000);
	assert_false(unwind.code.full);
	copied_stack_take(&copied, COPY_BYTES);
	assert_complete();
	end();
}

static int
tear_down(void **state)
{
	(void)state;
	forget_rules();
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(random_stacks_and_registers),     cmocka_unit_test(random_tables),
	    cmocka_unit_test(random_tables_without_an_index),  cmocka_unit_test(many_files),
	    cmocka_unit_test(what_was_mapped_last_lies_there), cmocka_unit_test(too_many_ranges),
	};

	return cmocka_run_group_tests(tests, NULL, tear_down);
}

#else

int
main(void)
{
	return 0;
}

#endif
