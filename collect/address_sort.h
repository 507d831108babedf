/*
 * address_sort.h: records in the order of the address that each begins with
 *
 * Radix sort: time by the number of records alone, whatever order they are in. No allocation.
 */
#ifndef VMT_ADDRESS_SORT_H
#define VMT_ADDRESS_SORT_H

#include <stddef.h>

/* Each record begins with an address of 8 bytes. spare: room for as many; its contents are lost. */
void vmt_address_sort(void *records, size_t count, size_t record_bytes, void *spare);

#endif
