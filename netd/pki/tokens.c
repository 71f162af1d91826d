/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * tokens.c - tokens: the rows of their file, the header that carries one, the comparison
 *
 * Room: a row is ROLE NAME HASH; blank lines and what follows a '#' are comments.  The file holds
 * SHA-256 of each token and never a token: with 256 random bits no salt is needed, and who can read
 * the file gains nothing.  No files and no clock here.  May include: netd/base, gnutls, libc.
 */
#include "inner.h"
#include <errno.h>
#include <gnutls/crypto.h>
#include <netd/base/limits.h>

static const char *const role_names[] = {
	[PKI_NOBODY] = "nobody", [PKI_VIEW] = "view", [PKI_ADMIN] = "admin",
};

static enum pki_role role_parse(const char *text, size_t len)
{
	for (size_t i = PKI_VIEW; i < ARRAY_SIZE(role_names); i++)
		if (strlen(role_names[i]) == len && memcmp(role_names[i], text, len) == 0)
			return (enum pki_role)i;
	return PKI_NOBODY;
}

/* It is shown in logs and stands in files, so it has nothing that means something there. */
bool client_name_ok(const char *name)
{
	size_t n = strlen(name);

	return n && n < PKI_NAME_BYTES &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.@_:-") == n;
}

int who_parse(const char *text, struct pki_identity *ret)
{
	size_t n = strcspn(text, ":");
	const char *name = text + n + (text[n] == ':');

	ret->role = role_parse(text, n);
	if (!ret->role || !client_name_ok(name))
		return -EINVAL;
	memcpy(ret->name, name, strlen(name) + 1);
	return 0;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool hash_parse(const char *text, uint8_t hash[32])
{
	if (strlen(text) != 64)
		return false;
	for (size_t i = 0; i < 32; i++) {
		int high = hex_digit(text[2 * i]), low = hex_digit(text[2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		hash[i] = (uint8_t)(high << 4 | low);
	}
	return true;
}

/* Cut in place.  NULL: no further one. */
static char *next_word(char **rest)
{
	char *word = *rest + strspn(*rest, " \t\r");
	size_t n = strcspn(word, " \t\r");

	if (!n)
		return NULL;
	*rest = word + n + (word[n] != '\0');
	word[n] = '\0';
	return word;
}

static bool row_parse(char *line, struct token *ret)
{
	char *role = next_word(&line), *name = role ? next_word(&line) : NULL;
	char *hash = name ? next_word(&line) : NULL;

	if (!hash || next_word(&line) || !client_name_ok(name) || !hash_parse(hash, ret->hash))
		return false;
	ret->who.role = role_parse(role, strlen(role));
	memcpy(ret->who.name, name, strlen(name) + 1);
	return ret->who.role != PKI_NOBODY;
}

static int tokens_add(struct tokens *tokens, const struct token *token)
{
	if (tokens->n == tokens->cap) {
		size_t cap = tokens->cap ? 2 * tokens->cap : 8;
		struct token *v = cap > LIMIT_TOKENS ? NULL : realloc(tokens->v, cap * sizeof(*v));

		if (!v)
			return -ENOMEM;
		tokens->v = v;
		tokens->cap = cap;
	}
	tokens->v[tokens->n++] = *token;
	return 0;
}

/* A line that is none is passed over: the others are still what the administrator wants. */
unsigned tokens_parse(struct tokens *tokens, const char *text)
{
	unsigned bad = 0, number = 0;

	while (*text) {
		size_t len = strcspn(text, "\n");
		struct token token = { 0 };
		char line[256], *start;

		number++;
		if (len < sizeof(line)) {
			memcpy(line, text, len);
			line[len] = '\0';
			line[strcspn(line, "#")] = '\0';
			start = line + strspn(line, " \t\r");
			if (*start && (!row_parse(start, &token) || tokens_add(tokens, &token) < 0))
				bad = bad ? bad : number;
		} else {
			bad = bad ? bad : number;
		}
		text += len + (text[len] == '\n');
	}
	return bad;
}

/* RFC 6750, 2.1, and RFC 9110, 11.4: the scheme in any case, blanks, one token. */
const char *bearer_token(const char *header)
{
	const char *token;
	size_t n;

	if (!header || strncasecmp(header, "Bearer ", 7) != 0)
		return NULL;
	token = header + 7 + strspn(header + 7, " ");
	n = strspn(token, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~+/=");
	return n && n <= LIMIT_TOKEN_BYTES && !token[n] ? token : NULL;
}

const struct token *tokens_find(const struct tokens *tokens, const char *token)
{
	const struct token *found = NULL;
	uint8_t hash[32];

	if (gnutls_hash_fast(GNUTLS_DIG_SHA256, token, strlen(token), hash) < 0)
		return NULL;
	for (size_t i = 0; i < tokens->n; i++) {
		bool same = gnutls_memcmp(hash, tokens->v[i].hash, sizeof(hash)) == 0;

		found = same ? &tokens->v[i] : found;
	}
	return found;
}
