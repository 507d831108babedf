#include "inject/text_search.h"

#include "base/buffer.h"
#include "base/procfs.h"
#include "base/text.h"

#include <errno.h>

/* What is read at a time; the last bytes of one piece come again with the next. */
#define PIECE_BYTES 65536u
#define MEMORY_BYTES (PIECE_BYTES + VMT_PROCFS_LINE_BYTES)

struct search {
	const struct vmt_target *target;
	struct vmt_text_pattern *patterns;
	size_t count;
	uint64_t stack_low;
	uint8_t *piece;
	bool found_all;
};

static bool
is_called(const struct vmt_mapping *mapping, const char *name)
{
	struct vmt_text path = vmt_text_of(mapping->path, mapping->path_bytes);

	return vmt_text_equals(&path, name);
}

static const uint8_t *
find_bytes(const uint8_t *at, size_t length, const struct vmt_text_pattern *pattern)
{
	const uint8_t *end = at + length;

	while ((size_t)(end - at) >= pattern->count) {
		at = (const uint8_t *)vmt_text_find_byte((const char *)at,
							 (size_t)(end - at) - pattern->count + 1,
							 (char)pattern->bytes[0]);
		if (!at || memcmp(at, pattern->bytes, pattern->count) == 0)
			return at;
		at++;
	}
	return NULL;
}

static void
look_through_piece(struct search *search, uint64_t address, size_t length)
{
	size_t missing = 0;

	for (size_t i = 0; i < search->count; i++) {
		struct vmt_text_pattern *pattern = &search->patterns[i];
		const uint8_t *found;

		if (pattern->address)
			continue;
		found = find_bytes(search->piece, length, pattern);
		if (found)
			pattern->address = address + (uint64_t)(found - search->piece);
		else
			missing++;
	}
	search->found_all = missing == 0;
}

static void
look_through(struct search *search, uint64_t low, uint64_t high)
{
	while (low < high && !search->found_all) {
		size_t length = high - low < PIECE_BYTES ? (size_t)(high - low) : PIECE_BYTES;

		/* Part of a file's mapping may lie behind the file's end. */
		if (vmt_target_read(search->target, low, search->piece, length) < 0)
			return;
		look_through_piece(search, low, length);
		low += length < PIECE_BYTES ? length : length - VMT_TEXT_PATTERN_BYTES;
	}
}

static bool
visit(void *context, const struct vmt_mapping *mapping)
{
	struct search *search = context;

	if (is_called(mapping, "[stack]"))
		search->stack_low = mapping->start;
	if ((mapping->protection & PROT_EXEC) && mapping->path_bytes > 0 &&
	    !is_called(mapping, "[vsyscall]"))
		look_through(search, mapping->start, mapping->end);
	return true;
}

static int
walk(struct search *search, char *line)
{
	int fd = vmt_procfs_open((uint32_t)search->target->pid, "maps");
	int result = fd;

	if (fd >= 0) {
		result = vmt_procfs_walk_maps(fd, line, VMT_PROCFS_LINE_BYTES, visit, search);
		vmt_sys_close(fd);
	}
	return result;
}

static int
run(struct search *search)
{
	struct vmt_buffer memory = {0};
	int result = -ENOMEM;

	if (vmt_buffer_reserve(&memory, MEMORY_BYTES)) {
		search->piece = memory.bytes;
		result = walk(search, (char *)memory.bytes + PIECE_BYTES);
	}
	for (size_t i = 0; result == 0 && i < search->count; i++) {
		if (search->patterns[i].address == 0)
			result = -ENOENT;
	}
	vmt_buffer_free(&memory);
	return result;
}

int
vmt_text_search(const struct vmt_target *target, struct vmt_text_pattern *patterns, size_t count,
		uint64_t *stack_low)
{
	struct search search = {.target = target, .patterns = patterns, .count = count};
	int result = run(&search);

	*stack_low = search.stack_low;
	return result;
}

int
vmt_text_search_syscall(const struct vmt_target *target, uint64_t *address)
{
	struct vmt_text_pattern pattern = {.bytes = {0x0f, 0x05}, .count = 2};
	uint64_t stack_low;
	int result = vmt_text_search(target, &pattern, 1, &stack_low);

	*address = pattern.address;
	return result;
}
