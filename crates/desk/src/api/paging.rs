//! Lists in pages: no answer is longer than is said, and a `Link` names the next page (RFC 8288).

use axum::http::header;
use serde::Deserialize;

use super::unfit;
use crate::problem::Problem;

/// Items of a page, at most, and if nothing is said.
pub const ITEMS_MAX: usize = 1_000;

/// The `Link` header of an answer, where there is more.
pub type Links = Option<[(header::HeaderName, String); 1]>;

/// The link to the next page.
pub fn links(next: Option<String>) -> Links {
    next.map(|next| [(header::LINK, format!("<{next}>; rel=\"next\""))])
}

/// Which page of a list that is sorted by id.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Page {
    /// Those that come after this id.
    after: Option<String>,
    /// So many of them.
    limit: Option<usize>,
}

impl Page {
    /// The same page, with no more items than this.
    pub fn at_most(self, most: usize) -> Self {
        let limit = self.limit.unwrap_or(most);
        // What is too much stays so, to be refused.
        Self { limit: Some(if limit <= ITEMS_MAX { limit.min(most) } else { limit }), ..self }
    }

    /// Cuts the page out of a list that is sorted by id, and links to the next. `more` is what else the address says, as `&overdue=true`.
    pub fn cut<T>(
        &self,
        all: Vec<T>,
        id: impl Fn(&T) -> &str,
        path: &str,
        more: &str,
    ) -> Result<(Links, Vec<T>), Problem> {
        let limit = self.limit.unwrap_or(ITEMS_MAX);
        if !(1..=ITEMS_MAX).contains(&limit) {
            return Err(unfit(format!("limit is {limit}, want 1 to {ITEMS_MAX}")));
        }
        let later = |one: &T| self.after.as_deref().is_none_or(|after| id(one) > after);
        let mut page: Vec<T> = all.into_iter().filter(later).take(limit + 1).collect();
        let goes_on = page.len() > limit;
        page.truncate(limit);
        let next = page.last().filter(|_| goes_on);
        Ok((links(next.map(|last| format!("{path}?limit={limit}&after={}{more}", id(last)))), page))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(after: Option<&str>, limit: Option<usize>, wanted: &[&str], next: Option<&str>) {
        let page = Page { after: after.map(str::to_owned), limit };
        let (links, found) = page.cut(vec!["a", "b", "c"], |one| one, "/x", "&y=1").unwrap();
        assert_eq!(found, wanted);
        assert_eq!(links.map(|[(_, link)]| link), next.map(|next| format!("<{next}>; rel=\"next\"")));
    }

    #[test]
    fn a_page_ends_where_it_says_and_names_the_next() {
        check(None, None, &["a", "b", "c"], None);
        check(None, Some(2), &["a", "b"], Some("/x?limit=2&after=b&y=1"));
        check(Some("b"), Some(2), &["c"], None);
        check(Some("a"), Some(2), &["b", "c"], None);
        for limit in [0, ITEMS_MAX + 1] {
            let refused = Page { after: None, limit: Some(limit) }.cut(vec!["a"], |one| one, "/x", "").unwrap_err();
            assert_eq!(refused.detail(), format!("limit is {limit}, want 1 to 1000"));
        }
    }
}
