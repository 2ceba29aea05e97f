// Package access says who calls a server and what the caller may do: by API tokens of
// the server's own, which are kept in its database, and by the tokens of Supabase's
// users. The database's policies decide what a user sees where it has them; scopes and
// patterns of API tokens are held here, whatever the database.
package access
