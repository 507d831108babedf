#include "unwind/go_objects.h"

#include "base/text.h"
#include "format/go_offsets.h"

#include <stddef.h>
#include <string.h>

#define FUNCTION_MOST_BYTES 65536u
#define WORDS_MOST 64u
#define LEA_BYTES 7u
#define CALL_BYTES 5u
#define BETWEEN_MOST_BYTES 16u /* the lea and its call; padding may lie there */

/* A function's bytes; NULL: it is not known. */
static const unsigned char *
code_of(const struct vmt_go_file *file, const struct vmt_go_code *code, uint64_t *bytes)
{
	*bytes = code->bytes < FUNCTION_MOST_BYTES ? code->bytes : FUNCTION_MOST_BYTES;
	return code->address != 0 ? vmt_go_image_loaded(file, code->address, *bytes) : NULL;
}

static uint64_t
target_of(uint64_t address_behind, const unsigned char *distance)
{
	int32_t value;

	memcpy(&value, distance, sizeof(value));
	return address_behind + (uint64_t)(int64_t)value;
}

/* lea rax, [rip + distance] */
static bool
is_lea(const unsigned char *at)
{
	return at[0] == 0x48 && at[1] == 0x8d && at[2] == 0x05;
}

static bool
is_one_of(const struct vmt_go_code callees[VMT_GO_CANDIDATES], uint64_t address)
{
	for (uint32_t i = 0; i < VMT_GO_CANDIDATES && callees[i].address != 0; i++)
		if (callees[i].address == address)
			return true;
	return false;
}

/* The first argument of the calls of `callee` in `caller`, where all have the same; 0: not known.
 */
static uint64_t
argument_of(const struct vmt_go_image *image, const struct vmt_go_file *file,
	    enum vmt_go_function caller, enum vmt_go_function callee)
{
	const struct vmt_go_code *code = &image->code[caller][0];
	uint64_t bytes;
	const unsigned char *text = code_of(file, code, &bytes);
	uint64_t last = 0, last_at = 0, found = 0;

	for (uint64_t at = 0; text && at + LEA_BYTES <= bytes; at++) {
		if (is_lea(text + at)) {
			last = target_of(code->address + at + LEA_BYTES, text + at + 3);
			last_at = at;
		}
		if (text[at] != 0xe8 || last == 0 || at < last_at + LEA_BYTES ||
		    at - last_at - LEA_BYTES > BETWEEN_MOST_BYTES ||
		    !is_one_of(image->code[callee],
			       target_of(code->address + at + CALL_BYTES, text + at + 1)))
			continue;
		if (found != 0 && found != last)
			return 0;
		found = last;
	}
	return found;
}

struct words {
	uint64_t addresses[WORDS_MOST]; /* in the order in which they are first loaded */
	uint32_t count;
};

static bool
has_word(const struct words *words, uint64_t address)
{
	for (uint32_t i = 0; i < words->count; i++)
		if (words->addresses[i] == address)
			return true;
	return false;
}

/* mov reg, [rip + distance], of 8 bytes */
static bool
is_load(const unsigned char *at)
{
	return (at[0] == 0x48 || at[0] == 0x4c) && at[1] == 0x8b && (at[2] & 0xc7) == 0x05;
}

/* The slice of which a function loads all three words: the one of which it loads any first. 0:
 * there is none. */
static uint64_t
slice_in(const struct vmt_go_image *image, const struct vmt_go_file *file,
	 enum vmt_go_function function)
{
	const struct vmt_go_code *code = &image->code[function][0];
	struct words words = {.count = 0};
	uint64_t bytes;
	const unsigned char *text = code_of(file, code, &bytes);

	for (uint64_t at = 0; text && at + LEA_BYTES <= bytes; at++) {
		uint64_t word;

		if (!is_load(text + at))
			continue;
		word = target_of(code->address + at + LEA_BYTES, text + at + 3);
		if (words.count < WORDS_MOST && !has_word(&words, word))
			words.addresses[words.count++] = word;
	}
	for (uint32_t i = 0; i < words.count; i++)
		for (uint64_t into = 0; into <= 16; into += 8) {
			uint64_t start = words.addresses[i] - into;

			if (has_word(&words, start) && has_word(&words, start + 8) &&
			    has_word(&words, start + 16))
				return start;
		}
	return 0;
}

/* mov reg, [rip + distance], of 4 bytes */
static bool
is_short_load(const unsigned char *at)
{
	return (at[-1] & 0xf0) != 0x40 && at[0] == 0x8b && (at[1] & 0xc7) == 0x05;
}

/* The word of 8 bytes, or of 4, that a function loads, where it loads no other. 0: not known. */
static uint64_t
word_in(const struct vmt_go_image *image, const struct vmt_go_file *file,
	enum vmt_go_function function, uint64_t word_bytes)
{
	const struct vmt_go_code *code = &image->code[function][0];
	uint64_t bytes;
	const unsigned char *text = code_of(file, code, &bytes);
	uint64_t found = 0;

	for (uint64_t at = 1; text && at + LEA_BYTES <= bytes; at++) {
		uint64_t opcode_bytes = word_bytes == 8 ? 3 : 2;
		uint64_t word;

		if (word_bytes == 8 ? !is_load(text + at) : !is_short_load(text + at))
			continue;
		word = target_of(code->address + at + opcode_bytes + 4, text + at + opcode_bytes);
		if (found != 0 && found != word)
			return 0;
		found = word;
	}
	return found;
}

static void
add(struct vmt_go_image *image, const char *symbol, uint64_t address, uint64_t bytes)
{
	struct vmt_go_object *object = &image->objects[image->objects_count];

	if (address == 0 || image->objects_count == VMT_GO_OBJECTS)
		return;
	*object = (struct vmt_go_object){.address = address, .bytes = bytes};
	memcpy(object->symbol, symbol, vmt_text_string_bytes(symbol) + 1);
	image->objects_count++;
}

/* cmp byte [rip + distance], 0; movzx eax, byte [rip + distance]. One of them names the variable
 * that the linker sets where a program is to keep no memory profile: Go 1.20 and later test it in
 * schedinit, earlier ones load it for an initial value. No other byte there is set by the linker.
 */
static uint64_t
tested_byte(const unsigned char *at, uint64_t address)
{
	if (at[0] == 0x80 && at[1] == 0x3d && at[6] == 0)
		return target_of(address + 7, at + 2);
	if (at[0] == 0x0f && at[1] == 0xb6 && (at[2] & 0xc7) == 0x05)
		return target_of(address + 7, at + 3);
	return 0;
}

static void
find_disabled(struct vmt_go_image *image, const struct vmt_go_file *file,
	      enum vmt_go_function function)
{
	for (uint32_t i = 0; i < VMT_GO_CANDIDATES; i++) {
		const struct vmt_go_code *code = &image->code[function][i];
		uint64_t bytes;
		const unsigned char *text = code_of(file, code, &bytes);

		for (uint64_t at = 0; text && at + LEA_BYTES <= bytes; at++) {
			uint64_t byte = tested_byte(text + at, code->address + at);

			if (byte == 0 || byte == image->profile_disabled ||
			    !vmt_go_image_is_set(file, byte))
				continue;
			/* There is another one: neither is known. */
			if (image->profile_disabled != 0) {
				image->profile_disabled = 0;
				return;
			}
			image->profile_disabled = byte;
		}
	}
}

void
vmt_go_objects_find(struct vmt_go_image *image, const struct vmt_go_file *file)
{
	const struct vmt_go_offsets *offsets = vmt_go_offsets_of(image->version);
	const uint64_t slice_bytes = 24;

	if (!offsets)
		return;
	add(image, VMT_GO_STATISTICS_SYMBOL,
	    argument_of(image, file, VMT_GO_HEAP_GROW, VMT_GO_STATISTICS_ACQUIRE),
	    offsets->statistics_bytes);
	add(image, VMT_GO_CONTROLLER_SYMBOL,
	    argument_of(image, file, VMT_GO_GC_INIT, VMT_GO_CONTROLLER_INIT),
	    offsets->controller_bytes);
	add(image, VMT_GO_HEAP_SYMBOL,
	    argument_of(image, file, VMT_GO_MALLOC_INIT, VMT_GO_HEAP_INIT),
	    offsets->heap_spans + slice_bytes);
	add(image, VMT_GO_GOROUTINES_SYMBOL, slice_in(image, file, VMT_GO_GOROUTINE_ADD),
	    slice_bytes);
	add(image, VMT_GO_PROCESSORS_SYMBOL, slice_in(image, file, VMT_GO_PROCESSORS_RESIZE),
	    slice_bytes);
	add(image, VMT_GO_PROFILE_SYMBOL, word_in(image, file, VMT_GO_PROFILE_FLUSH, 8), 8);
	add(image, VMT_GO_PROFILE_CYCLE_SYMBOL, word_in(image, file, VMT_GO_PROFILE_FREE, 4), 4);
	find_disabled(image, file,
		      offsets->minor < 20 ? VMT_GO_RUNTIME_INIT : VMT_GO_SCHEDULER_INIT);
	add(image, VMT_GO_PROFILE_RATE_SYMBOL, word_in(image, file, VMT_GO_CACHE_NEW, 8), 8);
}
