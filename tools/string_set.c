#include "tools/string_set.h"

#include "tools/hash_table.h"

#include <stdlib.h>
#include <string.h>

struct string {
	UT_hash_handle hh;
	char bytes[];
};

struct vmt_string_set {
	struct string *strings;
};

struct vmt_string_set *
vmt_string_set_new(void)
{
	return calloc(1, sizeof(struct vmt_string_set));
}

void
vmt_string_set_free(struct vmt_string_set *strings)
{
	if (strings)
		VMT_HASH_TABLE_FREE(struct string, strings->strings, free);
	free(strings);
}

char *
vmt_string_set_intern(struct vmt_string_set *strings, const char *bytes, size_t length)
{
	struct string *string;

	length = strnlen(bytes, length);
	HASH_FIND(hh, strings->strings, bytes, length, string);
	if (string)
		return string->bytes;
	string = malloc(sizeof(*string) + length + 1);
	if (!string)
		return NULL;
	memcpy(string->bytes, bytes, length);
	string->bytes[length] = '\0';
	HASH_ADD_KEYPTR(hh, strings->strings, string->bytes, length, string);
	if (string->hh.tbl)
		return string->bytes;
	free(string);
	return NULL;
}
