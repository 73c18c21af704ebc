//! The words that make up the bulk of any text and say nothing of its subject.
//!
//! They are not indexed. Half of the postings would be theirs; and their lists, the longest by far and of known
//! rank, would be the first that somebody who counts the index could put a name to.

use std::{collections::HashMap, sync::LazyLock};

use unicode_segmentation::UnicodeSegmentation as _;

use super::Language;

const WORDS: [(Language, &str); 18] = [
    (
        Language::English,
        "a about after all also am an and any are as at be because been before being but by can could did do does \
         for from had has have he her here him his how i if in into is it it's its just me more most my no not of on \
         or our out she should so some such than that the their them then there these they this those to up us was \
         we were what when where which while who why will with would you your",
    ),
    (
        Language::German,
        "aber als also am an auch auf aus bei bin bis da dann das dass dem den der des die dies diese dieser dieses \
         doch du durch ein eine einem einen einer eines er es für hat hatte hier ich ihm ihn ihr im in ins ist ja \
         kann kein keine man mehr mich mir mit nach nicht noch nur ob oder ohne sein sich sie sind so soll über um \
         und uns unter vom von vor war was wenn werden wie wir wird wo wurde zu zum zur",
    ),
    (
        Language::French,
        "à au aux avec ce ces cet cette comme dans de des du elle elles en est et eux il ils je la le les leur leurs \
         lui ma mais me même mes mon ne nos notre nous on ont ou où par pas plus pour qu que qui sa sans se ses si \
         son sont sous sur ta te tes toi ton tu un une vos votre vous y était être",
    ),
    (
        Language::Spanish,
        "a al como con cuando de del desde donde el él ella en entre era es esa ese eso esta este esto está fue ha \
         hay la las le les lo los más me mi muy ni no nos o para pero por porque que qué se si sí sin sobre son su \
         sus también te tu un una uno unos y ya yo",
    ),
    (
        Language::Italian,
        "a ad ai al alla alle anche che chi ci come con cui da dal dalla dei del della delle di dove e è ed era fra \
         gli ha hanno i il in io la le lei lo loro lui ma mi mio ne nei nel nella no noi non o per perché più quale \
         quando quella quello questa questo se si sia sono su sua sul sulla suo tra tu tutti un una uno vi",
    ),
    (
        Language::Portuguese,
        "a à ao aos as às até com como da das de dela dele do dos e é ela elas ele eles em entre era essa esse esta \
         este eu foi há isso isto já lhe mais mas me mesmo meu minha muito na nas não nem no nos nós o os ou para \
         pela pelo por qual quando que quem se sem ser seu sua são só também te tem um uma você",
    ),
    (
        Language::Dutch,
        "aan al als bij dan dat de der deze die dit door dus een en er geen had heb heeft hem het hij hoe hun ik in \
         is je kan maar me men met mijn naar niet nog nu of om ons ook op over te tegen toch toen tot uit u van veel \
         voor want was wat we wel werd wie wij wordt zal ze zich zij zijn zo",
    ),
    (
        Language::Swedish,
        "alla att av blev bli både de dem den denna det detta dig din du där då efter ej eller en ett från för ha \
         hade han har hans hon i icke inte jag kan man med men mig min mot mycket ni nu när och om oss på samma sig \
         sin som så till under upp ut utan var vad vara vi vid än är åt över",
    ),
    (
        Language::Danish,
        "af alle at blev da de dem den denne der det dette dig din du efter eller en end er et for fra ham han hans \
         har hun hvad hvis hvor i ikke ind jeg kan man med men mig min mod ned nej nu når og også om op os over på \
         sig sin skal som til ud under var vi vil være",
    ),
    (
        Language::Norwegian,
        "alle at av ble da de dem den denne der det dette du eller en enn er et etter for fra han hans har hun hva \
         hvis hvor i ikke inn jeg kan man med meg men min mot når nå og også om opp oss over på seg sin skal som til \
         under ut var ved vi vil være",
    ),
    (
        Language::Finnish,
        "ei en ennen että hän häntä ja jo joka jos kanssa kuin kun me mikä mitä mutta myös ne niin nyt oli olla on \
         ovat se sen siitä sitä tai te tämä tätä vain",
    ),
    (
        Language::Russian,
        "а без бы был была были было быть в вас вот все всё вы где да для до его ее её если есть еще ещё же за и из \
         или им их к как когда кто ли мне мы на не него нет ни но о об он она они оно от по при с со так также то \
         только у уже что чтобы это этот я",
    ),
    (
        Language::Hungarian,
        "a az azt csak de egy el én és ez ezt fel ha hogy is ki le meg mi mint nem ő pedig s sem van vagy volt",
    ),
    (
        Language::Romanian,
        "a acest această al ale am ar are au ca care ce cea cei cu da de din după el ea este fi fost în îi îl la le \
         mai mi ne nu o pe pentru prin sa să sau se și și-a sunt un una unei unui va",
    ),
    (
        Language::Turkish,
        "ama bir bu çok da daha de değil en gibi her hiç için ile ise ki mi mı mu mü ne o olan olarak şu ve veya ya",
    ),
    (
        Language::Greek,
        "αλλά αν από αυτό για δεν εγώ είναι ένα ένας ή η θα και κατά με μετά μια μου να ο οι όπως όταν οτι πολύ που \
         πως σαν σε στα στη στην στο στον τα την της τι τις το τον του τους των ως",
    ),
    (
        Language::Arabic,
        "أن إلى إن التي الذي أو أي بعد بين ثم حتى ذلك عن عند على في قد كان كل كما لا لم ما مع من منذ هذا هذه هل هو \
         هي و وقد ولا يا",
    ),
    (Language::Tamil, "இந்த அந்த ஒரு என்று என மற்றும் இது அது உள்ள என்ற"),
];

/// Every word, folded as words are, with the languages that it says nothing in: a bit each.
static LANGUAGES_OF: LazyLock<HashMap<String, u32>> = LazyLock::new(|| {
    let mut languages: HashMap<String, u32> = HashMap::new();
    for (language, words) in WORDS {
        for word in words.split_whitespace() {
            *languages.entry(word.replace('ς', "σ")).or_default() |= 1 << language as u8;
        }
    }
    languages
});

/// Whether `word`, folded, says nothing of the subject of a text in `language`.
pub(super) fn holds(language: Language, word: &str) -> bool {
    LANGUAGES_OF.get(word).is_some_and(|languages| languages >> language as u8 & 1 == 1)
}

/// The language whose small words `sample` has, where they are many and clearly more than another's.
///
/// In most languages every third word is one. A language without a list here shares a few with one that has.
pub(super) fn language_of(sample: &str) -> Option<Language> {
    let mut words = 0_usize;
    let mut hits = [0_usize; Language::ALL.len()];
    for word in sample.unicode_words() {
        words += 1;
        let languages = LANGUAGES_OF.get(word.to_lowercase().as_str()).copied().unwrap_or_default();
        for (at, hits) in hits.iter_mut().enumerate() {
            *hits += usize::from(languages >> at & 1 == 1);
        }
    }
    let (most, language) = hits.iter().zip(Language::ALL).max_by_key(|(hits, _)| **hits)?;
    let others = hits.iter().zip(Language::ALL).filter(|(_, it)| *it != language);
    let second = others.map(|(hits, _)| *hits).max().unwrap_or_default();
    (*most >= 2 && most * 5 >= words && most * 3 > second * 4).then_some(language)
}
