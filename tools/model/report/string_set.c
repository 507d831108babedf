#include "tools/model/report/string_set.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct vmt_string_set {
	char **entries; /* open addressing; NULL = empty */
	size_t mask;
	size_t count;
};

struct vmt_string_set *
vmt_string_set_new(void)
{
	struct vmt_string_set *strings = calloc(1, sizeof(*strings));

	if (!strings)
		return NULL;
	strings->mask = 1023;
	strings->entries = calloc(strings->mask + 1, sizeof(*strings->entries));
	if (!strings->entries) {
		free(strings);
		return NULL;
	}
	return strings;
}

void
vmt_string_set_free(struct vmt_string_set *strings)
{
	if (!strings)
		return;
	for (size_t i = 0; i <= strings->mask; i++)
		free(strings->entries[i]);
	free(strings->entries);
	free(strings);
}

/* FNV-1a, 64 bits. */
static uint64_t
hash_of(const char *bytes, size_t length)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < length; i++)
		hash = (hash ^ (unsigned char)bytes[i]) * UINT64_C(0x100000001b3);
	return hash ^ hash >> 32;
}

static char **
entry_of(const struct vmt_string_set *strings, const char *bytes, size_t length)
{
	size_t slot = hash_of(bytes, length) & strings->mask;

	for (;; slot = (slot + 1) & strings->mask) {
		char *found = strings->entries[slot];

		if (!found || (strncmp(found, bytes, length) == 0 && !found[length]))
			return &strings->entries[slot];
	}
}

static int
grow(struct vmt_string_set *strings)
{
	struct vmt_string_set larger = {.mask = strings->mask * 2 + 1, .count = strings->count};

	larger.entries = calloc(larger.mask + 1, sizeof(*larger.entries));
	if (!larger.entries)
		return -1;
	for (size_t i = 0; i <= strings->mask; i++) {
		char *string = strings->entries[i];

		if (string)
			*entry_of(&larger, string, strlen(string)) = string;
	}
	free(strings->entries);
	*strings = larger;
	return 0;
}

char *
vmt_string_set_intern(struct vmt_string_set *strings, const char *bytes, size_t length)
{
	char **entry;

	length = strnlen(bytes, length);
	if (strings->count > strings->mask / 2 && grow(strings))
		return NULL;
	entry = entry_of(strings, bytes, length);
	if (!*entry) {
		*entry = strndup(bytes, length);
		strings->count += *entry != NULL;
	}
	return *entry;
}
