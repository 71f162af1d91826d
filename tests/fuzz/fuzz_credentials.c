/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fuzz_credentials.c - any text as an Authorization header, a Host header, a ROLE:NAME, a token file
 *
 * The first lines are the headers and who; all that follows is the file.  What a row says, written
 * down again, is read as the same.
 */
#include "fuzz.h"

#include <netd/pki/inner.h>

static void headers(const char *authorization, const char *text)
{
	const char *token = bearer_token(authorization);
	struct pki_identity who = { 0 };
	char host[256];

	if (token) {
		must(token > authorization && token < authorization + strlen(authorization));
		must(*token && strlen(token) <= LIMIT_TOKEN_BYTES && !strpbrk(token, " \t\r\n\""));
	}
	if (host_parse(text, host))
		must(*host && strlen(host) < sizeof(host) && strstr(text, host));
	if (who_parse(text, &who) == 0)
		must(who.role && client_name_ok(who.name));
}

static void put_row(struct buf *b, const struct token *t)
{
	buf_printf(b, "%s %s ", t->who.role == PKI_ADMIN ? "admin" : "view", t->who.name);
	for (size_t i = 0; i < sizeof(t->hash); i++)
		buf_printf(b, "%02x", t->hash[i]);
	buf_str(b, "\n");
}

static void file(const char *text)
{
	struct tokens tokens = { 0 }, again = { 0 };
	struct buf b = { 0 };

	tokens_parse(&tokens, text);
	for (size_t i = 0; i < tokens.n; i++) {
		must(tokens.v[i].who.role && client_name_ok(tokens.v[i].who.name));
		put_row(&b, &tokens.v[i]);
	}
	buf_add(&b, "", 1);
	must(tokens_parse(&again, b.data) == 0);
	must(again.n == tokens.n && tokens.n <= LIMIT_TOKENS);
	must(!tokens.n || !memcmp(again.v, tokens.v, tokens.n * sizeof(*tokens.v)));
	free(tokens.v);
	free(again.v);
	buf_fini(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena arena = { 0 };
	const char *rest = (const char *)data;
	size_t left = size;
	char *first = fuzz_line(&rest, &left, &arena), *second = fuzz_line(&rest, &left, &arena);
	char *text = arena_strndup(&arena, rest, left);

	if (first && second)
		headers(first, second);
	if (text)
		file(text);
	arena_fini(&arena);
	return 0;
}
