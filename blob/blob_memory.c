/*
 * blob_memory.c: what the compiler and the rooms that the blob is made of want of a C library
 *
 * As in ISO C 7.24. General registers only; thread and signal safe.
 */
#include <stddef.h>
#include <stdint.h>

void *memcpy(void *restrict to, const void *restrict from, size_t bytes);
void *memmove(void *to, const void *from, size_t bytes);
void *memset(void *start, int value, size_t bytes);
int memcmp(const void *left, const void *right, size_t bytes);

void *
memcpy(void *restrict to, const void *restrict from, size_t bytes)
{
	void *at = to;

	__asm__ volatile("rep movsb" : "+D"(at), "+S"(from), "+c"(bytes) : : "memory");
	return to;
}

void *
memmove(void *to, const void *from, size_t bytes)
{
	unsigned char *at = to;
	const unsigned char *source = from;

	if ((uintptr_t)to - (uintptr_t)from >= bytes)
		return memcpy(to, from, bytes);
	while (bytes-- > 0) {
		at[bytes] = source[bytes];
		__asm__ volatile("" ::: "memory"); /* a loop, not a call of this function */
	}
	return to;
}

void *
memset(void *start, int value, size_t bytes)
{
	void *at = start;

	__asm__ volatile("rep stosb" : "+D"(at), "+c"(bytes) : "a"(value) : "memory");
	return start;
}

int
memcmp(const void *left, const void *right, size_t bytes)
{
	const unsigned char *a = left;
	const unsigned char *b = right;

	for (; bytes > 0; bytes--, a++, b++) {
		__asm__ volatile("" ::: "memory");
		if (*a != *b)
			return *a - *b;
	}
	return 0;
}
