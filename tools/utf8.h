/*
 * utf8.h: UTF-8 characters, and which of them are unsafe on a terminal.
 *
 * Text out of a trace or a file can hold anything. Stateless, thread safe.
 */
#ifndef VMT_UTF8_H
#define VMT_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes of the well-formed character at text (Unicode 15, table 3-7) of `left` bytes, and its code;
 * 0 where there is none, *code is then the byte. */
size_t vmt_utf8_decode(const char *text, size_t left, uint32_t *code);

/* Whether a character steers a terminal or hides what stands around it: controls (C0, DEL, C1),
 * characters without width, and those that turn the direction of text round. */
bool vmt_utf8_is_harmful(uint32_t code);

#endif
