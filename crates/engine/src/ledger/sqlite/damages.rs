//! What is wrong outside both chains, row by row.

use std::cell::RefCell;

use antiphon_core::digest::Digest;

use super::reader::{ReadConnection, cursor, snapshot};
use super::rows::{self, Columns, HEAD_COLUMNS};
use super::turn::names_file;
use crate::ledger::error::ReadError;
use crate::ledger::store::Damage;

impl ReadConnection {
    pub(super) fn damages(&mut self) -> Result<Vec<Damage>, ReadError> {
        let missing = RefCell::new(Vec::new());
        let mut damages = self.consistent(|reader| {
            let mut damages = Vec::new();
            reader.damaged_rows(
                "PRAGMA integrity_check(100)",
                |_| "the database".to_owned(),
                |columns| match columns.text(0)? {
                    "ok" => Ok(()),
                    other => Err(other.to_owned()),
                },
                &mut damages,
            )?;
            reader.damaged_rows(
                &format!("SELECT {HEAD_COLUMNS} FROM streams"),
                |columns| format!("the head row of `{}`", columns.text(0).unwrap_or("?")),
                |columns| rows::head(columns).map(drop),
                &mut damages,
            )?;
            reader.damaged_rows(
                "SELECT name, stream, version, digest FROM cursors",
                |columns| format!("the cursor {:?}", columns.text(0).unwrap_or("?")),
                |columns| cursor(columns).map(drop),
                &mut damages,
            )?;
            reader.damaged_rows(
                "SELECT version, format, bytes, digest, stream FROM snapshots",
                |columns| format!("the snapshot of `{}`", columns.text(4).unwrap_or("?")),
                |columns| snapshot(columns, &columns.parsed(4)?).map(drop),
                &mut damages,
            )?;
            let files = &reader.blobs;
            reader.damaged_rows(
                "SELECT digest, size, bytes FROM blobs",
                |columns| {
                    columns.digest(0).map_or("a blob".to_owned(), |digest| format!("blob {digest}"))
                },
                |columns| {
                    let (digest, size) = (columns.digest(0)?, columns.number(1)?);
                    let found = match columns.bytes(2)? {
                        Some(bytes) => (Digest::of(bytes), bytes.len()),
                        None => match files.read(&digest).map_err(|error| match error {
                            ReadError::Damaged { how, .. } => how,
                            error => error.told(),
                        })? {
                            Some(bytes) => (Digest::of(&bytes), bytes.len()),
                            None => {
                                missing.borrow_mut().push(digest);
                                return Err("its file is missing".to_owned());
                            }
                        },
                    };
                    match found {
                        (found, _) if found != digest => {
                            Err("its bytes have another digest".to_owned())
                        }
                        (_, bytes) if bytes as u64 != size => {
                            Err(format!("its column `size` is {size}, and it has {bytes} bytes"))
                        }
                        _ => Ok(()),
                    }
                },
                &mut damages,
            )?;
            Ok(damages)
        })?;
        for digest in missing.into_inner() {
            // An engine may have erased it after the state that was read: the row goes before the
            // file.
            if !names_file(&self.connection, &digest)? {
                let what = format!("blob {digest}");
                damages.retain(|damage| damage.what != what);
            }
        }
        Ok(damages)
    }

    /// Collects the rows that `check` finds something wrong with. What makes the table unreadable
    /// ends it and is a damage too.
    fn damaged_rows(
        &self,
        sql: &str,
        what: impl Fn(&Columns<'_, '_>) -> String,
        check: impl Fn(&Columns<'_, '_>) -> Result<(), String>,
        damages: &mut Vec<Damage>,
    ) -> Result<(), ReadError> {
        let found = self.rows(sql, [], &what, |columns| {
            Ok(check(columns).err().map(|how| Damage { what: what(columns), how }))
        });
        match found {
            Ok(found) => damages.extend(found.into_iter().flatten()),
            Err(ReadError::Damaged { what, how }) => damages.push(Damage { what, how }),
            Err(other) => return Err(other),
        }
        Ok(())
    }
}
