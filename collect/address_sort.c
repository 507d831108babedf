#include "collect/address_sort.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define DIGITS 8u
#define VALUES 256u

static unsigned
digit_of(const unsigned char *record, unsigned digit)
{
	uint64_t address;

	memcpy(&address, record, sizeof(address));
	return (unsigned)(address >> (8 * digit)) & (VALUES - 1);
}

/* Where the records of each value begin; false: all have the same one. */
static bool
find_places(size_t places[VALUES], const unsigned char *from, size_t count, size_t record_bytes,
	    unsigned digit)
{
	size_t place = 0;
	bool differ = false;

	memset(places, 0, VALUES * sizeof(*places));
	for (size_t i = 0; i < count; i++)
		places[digit_of(from + i * record_bytes, digit)]++;
	for (unsigned value = 0; value < VALUES; value++) {
		size_t have = places[value];

		differ |= have != 0 && have != count;
		places[value] = place;
		place += have;
	}
	return differ;
}

void
vmt_address_sort(void *records, size_t count, size_t record_bytes, void *spare)
{
	unsigned char *from = records;
	unsigned char *to = spare;
	size_t places[VALUES];

	for (unsigned digit = 0; digit < DIGITS; digit++) {
		unsigned char *swapped = from;

		if (!find_places(places, from, count, record_bytes, digit))
			continue;
		for (size_t i = 0; i < count; i++) {
			const unsigned char *record = from + i * record_bytes;

			memcpy(to + places[digit_of(record, digit)]++ * record_bytes, record,
			       record_bytes);
		}
		from = to;
		to = swapped;
	}
	if (from != (unsigned char *)records)
		memcpy(records, from, count * record_bytes);
}
