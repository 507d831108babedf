#include "tools/cmd/progress.h"

#include "base/ticks.h"
#include "tools/cmd/suggest.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FIRST_NS UINT64_C(1000000000)
#define BETWEEN_NS UINT64_C(100000000)

void
vmt_progress_begin(struct vmt_progress *progress, FILE *stream, uint64_t now_ns)
{
	*progress = (struct vmt_progress){
	    .stream = stream,
	    .on_terminal = isatty(fileno(stream)) == 1,
	    .next_ns = now_ns + FIRST_NS,
	};
}

/* Over the line that stands there, which may be longer. */
static void
show(struct vmt_progress *progress, const char *text, size_t bytes)
{
	int blanks = progress->shown_bytes > bytes ? (int)(progress->shown_bytes - bytes) : 0;

	fprintf(progress->stream, "\r%s%*s%s", text, blanks, "", bytes == 0 ? "\r" : "");
	fflush(progress->stream);
	progress->shown_bytes = bytes;
}

void
vmt_progress_tell(struct vmt_progress *progress, const char *doing, uint64_t done, uint64_t total,
		  uint64_t now_ns)
{
	char line[80];
	int bytes;

	assert(total > 0);
	if (!progress->on_terminal || now_ns < progress->next_ns)
		return;
	progress->next_ns = now_ns + BETWEEN_NS;
	bytes = snprintf(line, sizeof(line), "vmtrace: %s: %.0f %%", doing,
			 100.0 * (double)(done < total ? done : total) / (double)total);
	if (bytes > 0 && (size_t)bytes < sizeof(line))
		show(progress, line, (size_t)bytes);
}

void
vmt_progress_end(struct vmt_progress *progress)
{
	if (progress->shown_bytes > 0)
		show(progress, "", 0);
}

static void
tell_now(void *context, const char *doing, uint64_t done, uint64_t total)
{
	vmt_progress_tell(context, doing, done, total, vmt_ticks_monotonic_ns());
}

/* What is not known counts as not set. */
static enum vmt_report_cache
cache_of(const char *setting)
{
	if (setting && strcmp(setting, "off") == 0)
		return VMT_REPORT_CACHE_OFF;
	return setting && strcmp(setting, "all") == 0 ? VMT_REPORT_CACHE_ALL
						      : VMT_REPORT_CACHE_LARGE;
}

int
vmt_progress_build(struct vmt_report **report, const char *path,
		   const struct vmt_report_options *options, struct vmt_err *err)
{
	struct vmt_report_options told = *options;
	struct vmt_progress progress;
	int result;

	vmt_progress_begin(&progress, stderr, vmt_ticks_monotonic_ns());
	told.cache = cache_of(getenv("VMTRACE_CACHE"));
	told.progress = progress.on_terminal ? tell_now : NULL;
	told.progress_context = &progress;
	result = vmt_report_build(report, path, &told, err);
	vmt_progress_end(&progress);
	if (result == -ENOENT && !vmt_suggest_process(path, err))
		vmt_suggest_file(path, err);
	return result == -EINVAL ? -EBADMSG : result;
}
