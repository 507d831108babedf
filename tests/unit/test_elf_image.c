/* This test's own program, as a file, against itself as it is loaded. */
#include "tools/read/elf/elf_image.h"

#include <fcntl.h>
#include <link.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static const char text[] = "some bytes that never change";
static const char *const volatile pointer = text;

static unsigned char *file;
static size_t file_bytes;
static uint64_t bias;

static int
take_bias(struct dl_phdr_info *info, size_t size, void *context)
{
	(void)size;
	(void)context;
	bias = info->dlpi_addr;
	return 1;
}

static uint64_t
file_address(const volatile void *place)
{
	return (uint64_t)(uintptr_t)place - bias;
}

static void
bytes_are_those_in_memory(void **state)
{
	struct vmt_elf_image image;
	const unsigned char *found;
	size_t available = 0;

	(void)state;
	assert_true(vmt_elf_image_open(&image, file, file_bytes));
	found = vmt_elf_image_at(&image, file_address(text), &available);
	assert_non_null(found);
	assert_true(available >= sizeof(text));
	assert_memory_equal(found, text, sizeof(text));
	assert_null(vmt_elf_image_at(&image, UINT64_MAX, &available));
	assert_null(vmt_elf_image_at(&image, UINT64_C(1) << 46, &available));
	vmt_elf_image_close(&image);
}

static void
pointers_are_relocated(void **state)
{
	struct vmt_elf_image image;
	uint64_t word = 0;

	(void)state;
	assert_true(vmt_elf_image_open(&image, file, file_bytes));
	assert_true(vmt_elf_image_word(&image, file_address(&pointer), &word));
	assert_int_equal(word, file_address(text));
	assert_false(vmt_elf_image_word(&image, UINT64_MAX - 3, &word));
	vmt_elf_image_close(&image);
}

static void
sections_have_names(void **state)
{
	struct vmt_elf_image image;
	uint64_t address = 0;
	size_t bytes = 0;
	uint64_t wanted = file_address((const void *)(uintptr_t)sections_have_names);

	(void)state;
	assert_true(vmt_elf_image_open(&image, file, file_bytes));
	assert_non_null(vmt_elf_image_section(&image, ".text", &address, &bytes));
	assert_true(wanted >= address && wanted - address < bytes);
	assert_null(vmt_elf_image_section(&image, ".tex", &address, &bytes));
	assert_null(vmt_elf_image_section(&image, ".bss", &address, &bytes));
	vmt_elf_image_close(&image);
}

static void
what_is_no_program_is_refused(void **state)
{
	static const unsigned char nothing[256] = "not a program";
	struct vmt_elf_image image;

	(void)state;
	assert_false(vmt_elf_image_open(&image, nothing, sizeof(nothing)));
	vmt_elf_image_close(&image);
	for (size_t length = 0; length < 120; length++) {
		assert_false(vmt_elf_image_open(&image, file, length));
		vmt_elf_image_close(&image);
	}
}

static void
damaged_files_do_no_harm(void **state)
{
	unsigned char *copy = malloc(file_bytes);
	uint32_t random = 3;

	(void)state;
	assert_non_null(copy);
	for (unsigned round = 0; round < 300; round++) {
		struct vmt_elf_image image;
		size_t available;
		uint64_t word;
		uint64_t address;

		memcpy(copy, file, file_bytes);
		for (unsigned flips = 0; flips < 8; flips++) {
			random = random * 1664525u + 1013904223u;
			copy[(random >> 8) % (round % 2 ? 1024 : file_bytes)] =
			    (unsigned char)(random >> 24);
		}
		if (vmt_elf_image_open(&image, copy, round % 3 ? file_bytes : file_bytes / 2)) {
			vmt_elf_image_at(&image, file_address(text), &available);
			vmt_elf_image_word(&image, file_address(&pointer), &word);
			vmt_elf_image_section(&image, ".text", &address, &available);
		}
		vmt_elf_image_close(&image);
	}
	free(copy);
}

static int
set_up(void **state)
{
	int fd = open("/proc/self/exe", O_RDONLY);
	struct stat status;

	(void)state;
	if (fd < 0 || fstat(fd, &status) < 0)
		return -1;
	file_bytes = (size_t)status.st_size;
	file = mmap(NULL, file_bytes, PROT_READ, MAP_PRIVATE, fd, 0);
	close(fd);
	dl_iterate_phdr(take_bias, NULL);
	return file == MAP_FAILED ? -1 : 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(bytes_are_those_in_memory),
	    cmocka_unit_test(pointers_are_relocated),
	    cmocka_unit_test(sections_have_names),
	    cmocka_unit_test(what_is_no_program_is_refused),
	    cmocka_unit_test(damaged_files_do_no_harm),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
