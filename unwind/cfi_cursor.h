/*
 * cfi_cursor.h: reads untrusted .eh_frame bytes
 *
 * A cursor that never leaves [at, end): a take that would, or that meets an encoding it does not
 * know, gives 0 and marks the cursor failed; the caller asks once, at the end. LEB128 and the
 * DW_EH_PE pointer encodings (LSB 5.0 Core, section 10.5). No allocation; thread and signal safe.
 */
#ifndef VMT_CFI_CURSOR_H
#define VMT_CFI_CURSOR_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define VMT_CFI_PE_OMIT 0xffu
#define VMT_CFI_PE_INDIRECT 0x80u

struct vmt_cfi_cursor {
	const unsigned char *at;
	const unsigned char *end;
	bool failed;
};

static inline struct vmt_cfi_cursor
vmt_cfi_cursor_of(uint64_t low, uint64_t high)
{
	return (struct vmt_cfi_cursor){(const unsigned char *)low, (const unsigned char *)high,
				       low > high};
}

static inline bool
vmt_cfi_cursor_more(const struct vmt_cfi_cursor *cursor)
{
	return !cursor->failed && cursor->at < cursor->end;
}

static inline void
vmt_cfi_cursor_skip(struct vmt_cfi_cursor *cursor, uint64_t bytes)
{
	if (cursor->failed || bytes > (uint64_t)(cursor->end - cursor->at))
		cursor->failed = true;
	else
		cursor->at += bytes;
}

/* Little-endian, 1 to 8 bytes. */
static inline uint64_t
vmt_cfi_cursor_take(struct vmt_cfi_cursor *cursor, uint32_t bytes)
{
	const unsigned char *from = cursor->at;
	uint64_t value = 0;

	vmt_cfi_cursor_skip(cursor, bytes);
	if (!cursor->failed)
		memcpy(&value, from, bytes);
	return value;
}

static inline int64_t
vmt_cfi_cursor_take_signed(struct vmt_cfi_cursor *cursor, uint32_t bytes)
{
	uint32_t unused = 64 - bytes * 8;

	return (int64_t)(vmt_cfi_cursor_take(cursor, bytes) << unused) >> unused;
}

/* Bits beyond the 64th are lost. *shift receives how many bits there were. */
static inline uint64_t
vmt_cfi_cursor_take_bits(struct vmt_cfi_cursor *cursor, uint32_t *shift)
{
	uint64_t value = 0;
	uint64_t byte;

	*shift = 0;
	do {
		byte = vmt_cfi_cursor_take(cursor, 1);
		if (*shift < 64)
			value |= (byte & 0x7f) << *shift;
		*shift += 7;
	} while ((byte & 0x80) != 0 && !cursor->failed);
	return value;
}

static inline uint64_t
vmt_cfi_cursor_take_uleb(struct vmt_cfi_cursor *cursor)
{
	uint32_t shift;

	return vmt_cfi_cursor_take_bits(cursor, &shift);
}

static inline int64_t
vmt_cfi_cursor_take_sleb(struct vmt_cfi_cursor *cursor)
{
	uint32_t shift;
	uint64_t value = vmt_cfi_cursor_take_bits(cursor, &shift);

	if (shift < 64 && (value >> (shift - 1) & 1) != 0)
		value |= ~UINT64_C(0) << shift;
	return (int64_t)value;
}

static inline uint64_t
vmt_cfi_cursor_take_value(struct vmt_cfi_cursor *cursor, uint8_t format)
{
	switch (format) {
	case 0x00: /* absptr */
	case 0x04: /* udata8 */
	case 0x0c: /* sdata8 */
		return vmt_cfi_cursor_take(cursor, 8);
	case 0x01:
		return vmt_cfi_cursor_take_uleb(cursor);
	case 0x02:
		return vmt_cfi_cursor_take(cursor, 2);
	case 0x03:
		return vmt_cfi_cursor_take(cursor, 4);
	case 0x09:
		return (uint64_t)vmt_cfi_cursor_take_sleb(cursor);
	case 0x0a:
		return (uint64_t)vmt_cfi_cursor_take_signed(cursor, 2);
	case 0x0b:
		return (uint64_t)vmt_cfi_cursor_take_signed(cursor, 4);
	default:
		cursor->failed = true;
		return 0;
	}
}

/* A pointer of any encoding; `data` is the base of datarel ones. An indirect one is stepped over:
 * its value is the address of the pointer. */
static inline uint64_t
vmt_cfi_cursor_take_pointer(struct vmt_cfi_cursor *cursor, uint8_t encoding, uint64_t data)
{
	uint64_t here = (uint64_t)cursor->at;
	uint64_t value = vmt_cfi_cursor_take_value(cursor, encoding & 0x0f);

	switch (encoding & 0x70) {
	case 0x00:
		return value;
	case 0x10: /* pcrel */
		return here + value;
	case 0x30: /* datarel */
		return data + value;
	default:
		cursor->failed = true;
		return 0;
	}
}

#endif
