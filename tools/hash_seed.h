/*
 * hash_seed.h: hashes that nobody outside this process can foretell
 *
 * A trace chooses the keys of the tables that it fills. If it could choose keys that meet in one
 * place, each look would go through all of them, and a small file would cost seconds or more. The
 * seed is random, is drawn before main() and stays: the same key has the same hash throughout a
 * process, and another one in the next. So nothing that is printed may follow the order of a table.
 *
 * Multiply and fold, as wyhash does: every bit of the key reaches every bit of the result. Any
 * thread.
 */
#ifndef VMT_HASH_SEED_H
#define VMT_HASH_SEED_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

extern uint64_t vmt_hash_seed[2]; /* the second is odd */

static inline uint64_t
vmt_hash_word(uint64_t word)
{
	unsigned __int128 product = (unsigned __int128)(word ^ vmt_hash_seed[0]) * vmt_hash_seed[1];

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static inline uint64_t
vmt_hash_bytes(const void *bytes, size_t length)
{
	const unsigned char *at = bytes;
	uint64_t hash = vmt_hash_word(length);
	uint64_t word = 0;

	for (; length > sizeof(word); length -= sizeof(word), at += sizeof(word)) {
		memcpy(&word, at, sizeof(word));
		hash = vmt_hash_word(hash ^ word);
	}
	word = 0;
	memcpy(&word, at, length);
	return vmt_hash_word(hash ^ word);
}

#endif
