/*
 * text.h: takes numbers and words out of text, and makes paths, without libc
 *
 * A cursor over bytes that need no terminating NUL, and a bounded writer that always ends in one.
 * Takers move the cursor only when they succeed. Freestanding, no allocation; thread and signal
 * safe on separate cursors. Numbers that overflow 64 bits fail.
 */
#ifndef VMT_TEXT_H
#define VMT_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct vmt_text {
	const char *at;
	const char *end;
};

/* Appends; what does not fit is left out and overflow says so. */
struct vmt_text_out {
	char *at;
	char *end; /* one past the last usable byte, which the NUL needs */
	bool overflow;
};

/* Length of a string. The compiler must not make a call of strlen of the loop. */
static inline size_t
vmt_text_string_bytes(const char *string)
{
	size_t length = 0;

	if (__builtin_constant_p(__builtin_strlen(string)))
		return __builtin_strlen(string);
	for (; string[length]; length++)
		__asm__ volatile("" ::: "memory");
	return length;
}

/* The first such byte, or NULL. Eight at a time: in which a byte is 0 that was the wanted one (the
 * lowest bit of each byte taken away borrows from its highest). */
static inline const char *
vmt_text_find_byte(const char *at, size_t length, char wanted)
{
	const uint64_t ones = UINT64_C(0x0101010101010101);

	for (; length >= 8; at += 8, length -= 8) {
		uint64_t word;

		memcpy(&word, at, sizeof(word));
		word ^= ones * (unsigned char)wanted;
		if (((word - ones) & ~word & ones << 7) != 0)
			break;
	}
	for (; length > 0; at++, length--) {
		if (*at == wanted)
			return at;
	}
	return NULL;
}

static inline struct vmt_text
vmt_text_of(const char *bytes, size_t length)
{
	return (struct vmt_text){bytes, bytes + length};
}

static inline size_t
vmt_text_length(const struct vmt_text *text)
{
	return (size_t)(text->end - text->at);
}

static inline void
vmt_text_skip_blanks(struct vmt_text *text)
{
	while (text->at < text->end && (*text->at == ' ' || *text->at == '\t'))
		text->at++;
}

/* Steps over one given character. */
static inline bool
vmt_text_skip(struct vmt_text *text, char wanted)
{
	if (text->at == text->end || *text->at != wanted)
		return false;
	text->at++;
	return true;
}

static inline bool
vmt_text_take_decimal(struct vmt_text *text, uint64_t *number)
{
	const char *at = text->at;
	uint64_t value = 0;

	for (; at < text->end && *at >= '0' && *at <= '9'; at++) {
		if (__builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, (uint64_t)(*at - '0'), &value))
			return false;
	}
	if (at == text->at)
		return false;
	text->at = at;
	*number = value;
	return true;
}

static inline int
vmt_text_hex_digit(char digit)
{
	if (digit >= '0' && digit <= '9')
		return digit - '0';
	if (digit >= 'a' && digit <= 'f')
		return digit - 'a' + 10;
	if (digit >= 'A' && digit <= 'F')
		return digit - 'A' + 10;
	return -1;
}

static inline bool
vmt_text_take_hex(struct vmt_text *text, uint64_t *number)
{
	const char *at = text->at;
	uint64_t value = 0;

	for (; at < text->end && vmt_text_hex_digit(*at) >= 0; at++) {
		if (value >> 60)
			return false;
		value = value << 4 | (uint64_t)vmt_text_hex_digit(*at);
	}
	if (at == text->at)
		return false;
	text->at = at;
	*number = value;
	return true;
}

/* The text up to the next `delimiter` (not included, stepped over) or the end. False at the end. */
static inline bool
vmt_text_take_until(struct vmt_text *text, char delimiter, struct vmt_text *taken)
{
	const char *found;

	if (text->at == text->end)
		return false;
	found = vmt_text_find_byte(text->at, vmt_text_length(text), delimiter);
	taken->at = text->at;
	taken->end = found ? found : text->end;
	text->at = found ? found + 1 : text->end;
	return true;
}

static inline bool
vmt_text_take_line(struct vmt_text *text, struct vmt_text *line)
{
	return vmt_text_take_until(text, '\n', line);
}

/* Blanks, then a word up to a blank or the end. */
static inline bool
vmt_text_take_word(struct vmt_text *text, struct vmt_text *word)
{
	vmt_text_skip_blanks(text);
	word->at = text->at;
	while (text->at < text->end && *text->at != ' ' && *text->at != '\t')
		text->at++;
	word->end = text->at;
	return word->at < word->end;
}

static inline bool
vmt_text_equals(const struct vmt_text *text, const char *string)
{
	size_t length = vmt_text_string_bytes(string);

	return vmt_text_length(text) == length && memcmp(text->at, string, length) == 0;
}

/* Steps over `prefix` where the text begins with it. */
static inline bool
vmt_text_skip_string(struct vmt_text *text, const char *prefix)
{
	size_t length = vmt_text_string_bytes(prefix);

	if (vmt_text_length(text) < length || memcmp(text->at, prefix, length) != 0)
		return false;
	text->at += length;
	return true;
}

/* The number of the first line "KEY NUMBER" or "KEY: NUMBER". The whole key must match. */
static inline bool
vmt_text_find_figure(struct vmt_text text, const char *key, uint64_t *number)
{
	struct vmt_text line;

	while (vmt_text_take_line(&text, &line)) {
		if (!vmt_text_skip_string(&line, key))
			continue;
		if (!vmt_text_skip(&line, ':') && line.at < line.end && *line.at != ' ' &&
		    *line.at != '\t')
			continue;
		vmt_text_skip_blanks(&line);
		return vmt_text_take_decimal(&line, number);
	}
	return false;
}

static inline struct vmt_text_out
vmt_text_out_begin(char *buffer, size_t length)
{
	buffer[0] = '\0';
	return (struct vmt_text_out){buffer, buffer + length, false};
}

static inline void
vmt_text_put_bytes(struct vmt_text_out *out, const char *bytes, size_t length)
{
	if (out->overflow || length >= (size_t)(out->end - out->at)) {
		out->overflow = true;
		return;
	}
	memcpy(out->at, bytes, length);
	out->at += length;
	*out->at = '\0';
}

static inline void
vmt_text_put(struct vmt_text_out *out, const char *string)
{
	vmt_text_put_bytes(out, string, vmt_text_string_bytes(string));
}

static inline void
vmt_text_put_decimal(struct vmt_text_out *out, uint64_t number)
{
	char digits[20];
	size_t at = sizeof(digits);

	do {
		digits[--at] = (char)('0' + number % 10);
		number /= 10;
	} while (number);
	vmt_text_put_bytes(out, digits + at, sizeof(digits) - at);
}

#endif
