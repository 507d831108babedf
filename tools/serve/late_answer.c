#include "tools/serve/late_answer.h"

#include "tools/export/fleet_metrics.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NS_PER_MS INT64_C(1000000)
#define AGE_BYTES 40u

void
vmt_late_answer_keep(struct vmt_late_answer *late, const void *bytes, size_t length, int64_t now_ns)
{
	size_t end = strlen(VMT_FLEET_END);
	char *copy;

	if (length < end || memcmp((const char *)bytes + length - end, VMT_FLEET_END, end) != 0)
		return;
	copy = malloc(length);
	if (!copy)
		return;
	memcpy(copy, bytes, length);
	free(late->bytes);
	late->bytes = copy;
	late->length = length;
	late->made_ns = now_ns;
}

bool
vmt_late_answer_is_there(const struct vmt_late_answer *late, int64_t now_ns)
{
	return late->bytes && now_ns - late->made_ns <= VMT_LATE_ANSWER_MOST_NS;
}

bool
vmt_late_answer_is_due(const struct vmt_late_answer *late, int64_t asked_ns, int64_t now_ns)
{
	return now_ns - asked_ns >= VMT_LATE_ANSWER_AFTER_NS &&
	       vmt_late_answer_is_there(late, now_ns);
}

char *
vmt_late_answer_text(const struct vmt_late_answer *late, int64_t now_ns, size_t *length)
{
	int64_t age_ms = (now_ns - late->made_ns) / NS_PER_MS;
	size_t kept;
	char *text;

	if (!vmt_late_answer_is_there(late, now_ns))
		return NULL;
	kept = late->length - strlen(VMT_FLEET_END);
	text = malloc(kept + strlen(VMT_FLEET_AGE) + AGE_BYTES);
	if (!text)
		return NULL;
	memcpy(text, late->bytes, kept);
	*length = kept + (size_t)snprintf(text + kept, strlen(VMT_FLEET_AGE) + AGE_BYTES,
					  VMT_FLEET_AGE "%lld.%03lld\n# EOF\n",
					  (long long)(age_ms / 1000), (long long)(age_ms % 1000));
	return text;
}

void
vmt_late_answer_free(struct vmt_late_answer *late)
{
	free(late->bytes);
	*late = (struct vmt_late_answer){.bytes = NULL};
}
