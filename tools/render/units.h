/*
 * units.h: sizes and times as people write them.
 *
 * Bytes with IEC units ("1.16 GiB"), durations ("1.5 s"), and both the other way round. Results are
 * written into the caller's buffer and are at most VMT_UNITS_BYTES long with their NUL. Pure
 * functions.
 */
#ifndef VMT_UNITS_H
#define VMT_UNITS_H

#include <stddef.h>
#include <stdint.h>

#define VMT_UNITS_BYTES 24
#define VMT_UNITS_RATIO_BYTES 8

/* "0 B", "4 KiB", "1.16 GiB", "1023 KiB": three figures, a fourth only before the next unit.
 * Returns text. */
const char *vmt_units_bytes(char text[VMT_UNITS_BYTES], uint64_t bytes);
/* "950 us", "12.3 ms", "1.5 s", "2 min 05 s", "3 h 12 min". Returns text. */
const char *vmt_units_duration(char text[VMT_UNITS_BYTES], uint64_t duration_ns);
/* "1,234,567". Returns text. */
const char *vmt_units_count(char text[VMT_UNITS_BYTES], uint64_t count);
/* "54 %", "<1 %", "-" of nothing. Returns text. */
const char *vmt_units_ratio(char text[VMT_UNITS_RATIO_BYTES], uint64_t part, uint64_t whole);

/* "4096", "64KiB", "64K", "64KB" (all the same), "1.5 GiB" into bytes. 0, or -EINVAL or -ERANGE. */
int vmt_units_parse_bytes(const char *text, uint64_t *bytes);
/* "300ms", "1.5s", "2m", "1h", "10us"; a bare number is seconds. 0, or -EINVAL or -ERANGE. */
int vmt_units_parse_duration(const char *text, uint64_t *duration_ns);

#endif
