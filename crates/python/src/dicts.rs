//! Dicts from Python, of which every entry has to be there.

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
