//! Dicts from Python, of which every entry has to be there, and in [`Entries`] no other.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// A required entry of `what`.
///
/// # Errors
/// `ValueError` names the entry that is missing or of a wrong type.
pub(crate) fn field<'py, T>(dict: &Bound<'py, PyDict>, what: &str, name: &str) -> PyResult<T>
where
    T: for<'a> FromPyObject<'a, 'py>,
{
    let value = dict.get_item(name)?.and_then(|value| value.extract().ok());
    value.ok_or_else(|| {
        PyValueError::new_err(format!("{what}: {name} is missing or of a wrong type"))
    })
}

/// The entries of a dict that is read as a whole.
pub(crate) struct Entries<'a, 'py> {
    dict: &'a Bound<'py, PyDict>,
    what: &'static str,
    taken: Vec<&'static str>,
}

impl<'a, 'py> Entries<'a, 'py> {
    /// The entries of `what`.
    pub fn of(dict: &'a Bound<'py, PyDict>, what: &'static str) -> Self {
        Self {
            dict,
            what,
            taken: Vec::new(),
        }
    }

    /// A required entry.
    ///
    /// # Errors
    /// `ValueError` names the entry that is missing or of a wrong type.
    pub fn take<T>(&mut self, name: &'static str) -> PyResult<T>
    where
        T: for<'b> FromPyObject<'b, 'py>,
    {
        self.taken.push(name);
        field(self.dict, self.what, name)
    }

    /// Refuses what nobody has taken: whoever wrote it believes that it works.
    ///
    /// # Errors
    /// `ValueError` names the entry.
    pub fn finish(self) -> PyResult<()> {
        for name in self.dict.keys() {
            let name: String = name.extract()?;
            if !self.taken.contains(&&*name) {
                let what = self.what;
                return Err(PyValueError::new_err(format!(
                    "{what}: {name} is not known"
                )));
            }
        }
        Ok(())
    }
}
