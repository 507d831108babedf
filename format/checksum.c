#include "format/checksum.h"

#include "base/atomic.h"

#include <stdbool.h>
#include <string.h>

/* x^32 + x^28 + ... + 1 of RFC 3720, bits reflected. */
#define POLYNOMIAL UINT32_C(0x82f63b78)

/* One step of four bits: POLYNOMIAL times the index. 64 bytes that stay in one cache line. */
static const uint32_t nibble_table[16] = {
    0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3, 0x61c69362, 0x7198540d,
    0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9, 0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
};

static uint32_t
update_portable(uint32_t state, const unsigned char *bytes, size_t length)
{
	while (length-- != 0) {
		state ^= *bytes++;
		state = (state >> 4) ^ nibble_table[state & 15];
		state = (state >> 4) ^ nibble_table[state & 15];
	}
	return state;
}

#if defined(__x86_64__)
/* Intel SDM volume 2, CRC32: the instruction computes this very polynomial. */
__attribute__((target("sse4.2"))) static uint32_t
update_machine(uint32_t state, const unsigned char *bytes, size_t length)
{
	uint64_t wide = state;

	while (length >= 8) {
		uint64_t word;

		memcpy(&word, bytes, 8);
		wide = __builtin_ia32_crc32di(wide, word);
		bytes += 8;
		length -= 8;
	}
	while (length-- != 0)
		wide = __builtin_ia32_crc32qi((uint32_t)wide, *bytes++);
	return (uint32_t)wide;
}

/* Asked once: cpuid traps into a hypervisor, 4 us where that was measured. */
static bool
machine_has_crc(void)
{
	enum { UNKNOWN, ABSENT, THERE };
	static uint32_t known;
	uint32_t a = 1, b, c = 0, d;

	if (vmt_atomic_load_relaxed(&known) == UNKNOWN) {
		__asm__("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
		vmt_atomic_store_relaxed(&known, (c & (1u << 20)) != 0 ? THERE : ABSENT);
	}
	return vmt_atomic_load_relaxed(&known) == THERE;
}
#else
static uint32_t
update_machine(uint32_t state, const unsigned char *bytes, size_t length)
{
	return update_portable(state, bytes, length);
}

static bool
machine_has_crc(void)
{
	return false;
}
#endif

uint32_t
vmt_checksum_update(uint32_t checksum, const void *bytes, size_t length)
{
	if (machine_has_crc())
		return ~update_machine(~checksum, bytes, length);
	return ~update_portable(~checksum, bytes, length);
}
