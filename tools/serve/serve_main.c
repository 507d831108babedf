#include "base/pages.h"
#include "tools/cmd/options.h"
#include "tools/cmd/trace_files.h"
#include "tools/cmd/version.h"
#include "tools/serve/listen_address.h"
#include "tools/serve/server.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define STATUS_FAILED 2
#define DEFAULT_LISTEN "127.0.0.1:9757"
#define LEAST_TOKEN_BYTES 16u
#define MOST_FILE_BYTES ((size_t)1 << 20)

enum {
	OPTION_LISTEN,
	OPTION_TOKEN_FILE,
	OPTION_INSECURE,
	OPTION_CERT,
	OPTION_KEY,
	OPTION_HOST,
	OPTION_PID,
	OPTION_VERSION,
	OPTION_HELP,
};

static const struct vmt_option table[] = {
    {"listen", 'l', "ADDRESS:PORT", "where to listen (default " DEFAULT_LISTEN "); port 0: any"},
    {"token-file", 0, "FILE", "who asks must send the token that FILE has"},
    {"insecure", 0, NULL, "other machines may ask without a token"},
    {"cert", 0, "FILE", "a certificate (PEM), for https; goes with --key"},
    {"key", 0, "FILE", "its private key (PEM)"},
    {"host", 0, "NAME[,NAME...]", "names by which this server is asked, beside localhost"},
    {"pid", 0, NULL, "metrics of each process, not of each program"},
    {"version", 'V', NULL, "print the version"},
    {"help", 'h', NULL, "print this text"},
    {0},
};

static void
print_help(void)
{
	printf(
	    "usage: vmtrace-serve [OPTION]... DIR\n\n"
	    "Serves what runs of the traces in DIR over HTTP: / (the report as a page), /metrics,\n"
	    "/debug/pprof/heap, /debug/pprof/allocs, /sd. See vmtrace-serve(1).\n\n");
	for (const struct vmt_option *option = table; option->name; option++) {
		char name[64];

		snprintf(name, sizeof(name), "--%s%s%s", option->name, option->argument ? " " : "",
			 option->argument ? option->argument : "");
		printf("  %-28s %s\n", name, option->help);
	}
}

/* The whole text of a small file, to be freed. NULL with a message. */
static char *
read_file(const char *path, struct vmt_err *err)
{
	FILE *file = fopen(path, "re");
	char *text = file ? calloc(1, MOST_FILE_BYTES + 1) : NULL;
	size_t length = text ? fread(text, 1, MOST_FILE_BYTES, file) : 0;

	if (!text || ferror(file))
		vmt_err_set(err, errno ? errno : ENOMEM, "%s: %s", path,
			    strerror(errno ? errno : ENOMEM));
	else if (length == MOST_FILE_BYTES || strlen(text) != length)
		vmt_err_set(err, EBADMSG, "%s: is not a small file of text", path);
	if (file)
		fclose(file);
	if (!err->text[0])
		return text;
	free(text);
	return NULL;
}

/* Without blanks around it. */
static int
check_token(char *token, const char *path, struct vmt_err *err)
{
	size_t length = strlen(token);

	while (length > 0 && isspace((unsigned char)token[length - 1]))
		token[--length] = '\0';
	if (length < LEAST_TOKEN_BYTES)
		return vmt_err_set(err, EBADMSG, "%s: a token has at least %u characters", path,
				   LEAST_TOKEN_BYTES);
	for (size_t i = 0; i < length; i++)
		if (!isgraph((unsigned char)token[i]))
			return vmt_err_set(err, EBADMSG,
					   "%s: a token is one word of ASCII characters", path);
	return 0;
}

/* What files name: a token, a certificate with its key. */
static int
read_files(struct vmt_server_options *server, char *texts[3], const struct vmt_options *options,
	   struct vmt_err *err)
{
	static const int which[3] = {OPTION_TOKEN_FILE, OPTION_CERT, OPTION_KEY};

	if (!options->values[OPTION_CERT] != !options->values[OPTION_KEY])
		return vmt_err_set(err, EINVAL, "--cert and --key go together");
	for (int i = 0; i < 3; i++) {
		if (!options->values[which[i]])
			continue;
		texts[i] = read_file(options->values[which[i]], err);
		if (!texts[i])
			return -EBADMSG;
	}
	server->token = texts[0];
	server->certificate = texts[1];
	server->key = texts[2];
	return texts[0] ? check_token(texts[0], options->values[OPTION_TOKEN_FILE], err) : 0;
}

static int
check_safety(const struct vmt_server_options *server, bool insecure, struct vmt_err *err)
{
	if (server->token || insecure || vmt_listen_address_is_loopback(&server->address))
		return 0;
	return vmt_err_set(
	    err, EPERM,
	    "other machines could ask: --token-file FILE lets those who know a token, "
	    "--insecure lets all");
}

static int
run(const struct vmt_options *options, struct vmt_err *err)
{
	const char *listen = options->values[OPTION_LISTEN];
	struct vmt_server_options server = {.directory = options->operands[0],
					    .hosts = options->values[OPTION_HOST],
					    .by_pid = options->values[OPTION_PID] != NULL};
	char *texts[3] = {NULL, NULL, NULL};
	int result;

	if (options->operand_count != 1)
		return vmt_err_set(err, EINVAL, "one directory with traces is needed");
	if (!vmt_trace_files_is_directory(server.directory))
		return vmt_err_set(err, ENOTDIR, "%s: is not a directory", server.directory);
	result = vmt_listen_address_read(&server.address, listen ? listen : DEFAULT_LISTEN, err);
	if (result == 0)
		result = read_files(&server, texts, options, err);
	if (result == 0)
		result = check_safety(&server, options->values[OPTION_INSECURE] != NULL, err);
	if (result == 0)
		result = vmt_server_run(&server, err);
	for (int i = 0; i < 3; i++)
		free(texts[i]);
	return result;
}

int
main(int argc, char **argv)
{
	struct vmt_options options = {.operand_count = 0};
	struct vmt_err err = {""};
	int result;

	vmt_pages_set_size((uint64_t)sysconf(_SC_PAGESIZE));
	result = vmt_options_parse(&options, table, argc, argv, false, &err);
	if (result == 0 && options.values[OPTION_HELP]) {
		print_help();
		return 0;
	}
	if (result == 0 && options.values[OPTION_VERSION]) {
		vmt_version_print();
		return 0;
	}
	if (result == 0)
		result = run(&options, &err);
	if (result == 0)
		return 0;
	fprintf(stderr, "vmtrace-serve: %s\n", err.text[0] ? err.text : strerror(-result));
	if (result == -EINVAL)
		fprintf(stderr, "usage: vmtrace-serve [OPTION]... DIR\n");
	return STATUS_FAILED;
}
